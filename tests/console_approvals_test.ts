/**
 * The inbox in a browser: deciding by keyboard and by hand, what is bound to what, who is told.
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { allow, defineImage } from "../mod.ts";
import {
  assertSound,
  browserTest,
  type ConsolePlace,
  consolePlace,
  focusOn,
  pressAll,
  titled,
} from "./console_place.ts";
import { scratch } from "./scratch.ts";

/** Writes where its goal says, and tells what became of it. */
const writer = defineImage({
  name: "writer",
  program: async ({ sys, goal }) => {
    const result = await sys.file.write({ path: goal, text: "# Report\n\n42 rows\n" }).then(
      () => "written",
      ({ code, message }) => `${code} ${message}`,
    );
    await sys.process.exit({ result });
  },
});

async function desk(policy = "ask file.write(./out/**)"): Promise<ConsolePlace> {
  const workspace = scratch();
  await Deno.mkdir(`${workspace}/out`);
  return await consolePlace({ runtime: { workspace, policy } });
}

async function write(at: ConsolePlace, path: string) {
  return await at.runtime.spawn(writer, { goal: path, grants: [allow("file.write", "./out/**")] });
}

const row = (page: Page, what: string) => page.locator(".requests a", { hasText: what });

browserTest(
  "An approver approves from the overview in four keys, and the agent goes on",
  async () => {
    await using at = await desk();
    const process = await write(at, "./out/report.md");
    const page = await at.open("/", { role: "approver" });
    await page.locator(".tile", { hasText: "Waiting on you" }).filter({ hasText: "1" }).waitFor();
    await pressAll(page, "g a");
    await page.getByRole("button", { name: "Approve once" }).waitFor();
    await titled(page, "(1) Approvals · Agent libOS");
    await page.keyboard.press("a");
    await page.locator("[data-yes]:focus").waitFor();
    await page.keyboard.press("Enter");
    await page.getByText("Nothing waits for a person").waitFor();
    assert.equal((await process.wait()).result, "written");
    await titled(page, "Approvals · Agent libOS");
  },
);

browserTest(
  "The inbox holds for everybody's eyes, with what there is to know of a request",
  async () => {
    await using at = await desk([
      "ask file.write(./out/*)",
      "ask file.write(./out/secret/**) risk high because it is read by all",
    ].join("\n"));
    for (const name of ["a", "b", "secret/plan"]) await write(at, `./out/${name}.md`);
    const page = await at.open("/approvals", { role: "approver" });
    await row(page, "secret/plan").waitFor();
    await page.getByText("Others like it").waitFor();
    assert.match(await row(page, "").first().innerText(), /high[\s\S]*secret\/plan/);
    const card = page.locator(".card");
    for (const text of ["writer@", "started by operator", ": it is read by all", "42 rows"]) {
      await card.getByText(text).first().waitFor();
    }
    await assertSound(page, "approvals");
    await page.locator("[name=scope][value=process]").click();
    await page.getByText("file.write call in this tree").waitFor();
    await assertSound(page, "approvals-scope");
  },
);

browserTest(
  "A no with its reason reaches the agent; what is typed into a field decides nothing",
  async () => {
    await using at = await desk();
    const process = await write(at, "./out/a.md");
    const page = await at.open("/approvals", { role: "approver" });
    await page.getByRole("button", { name: "Approve once" }).waitFor();
    await page.keyboard.press("d");
    await page.locator("textarea:focus").waitFor();
    await page.keyboard.type("a add A\ndo use the draft");
    assert.equal(at.runtime.approvals.list().length, 1);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await focusOn(page, "Deny");
    await page.keyboard.press("Enter");
    await page.getByText("Nothing waits for a person").waitFor();
    assert.match(String((await process.wait()).result), /^EACCES .*a add A\ndo use the draft/s);
  },
);

browserTest(
  "A call that changed under the reader is shown beside the old one, and not answered",
  async () => {
    await using at = await desk();
    const process = await write(at, "./out/now.md");
    const page = await at.open("/", { role: "approver" });
    let isOld = true;
    await page.route(/\/v1\/approvals(\?|\/req_1\.1$)/, async (route) => {
      const answer = await route.fetch();
      const text = await answer.text();
      const old = text.replaceAll("out/now.md", "out/old.md")
        .replaceAll(/"argsHash":"\w+"/g, `"argsHash":"${"0".repeat(64)}"`);
      await route.fulfill({ response: answer, body: isOld ? old : text });
    });
    await page.locator("a", { hasText: "Approvals" }).click();
    await page.locator(".card h2", { hasText: "old.md" }).waitFor();
    await page.getByText("Others like it").waitFor();
    await page.route(/decision$/, async (route) => {
      isOld = false;
      await route.continue();
    });
    const [answered] = await Promise.all([
      page.waitForResponse(/decision$/),
      page.getByRole("button", { name: "Approve once" }).click(),
    ]);
    assert.equal(answered.status(), 409);
    await page.getByText("The call changed, review it again.").first().waitFor();
    const beside = page.locator(".beside");
    assert.match(await beside.getByLabel("What you saw").innerText(), /old\.md/);
    assert.match(await beside.getByLabel("What is asked now").innerText(), /now\.md/);
    assert.equal(await page.getByRole("button", { name: "Approve once" }).count(), 0);
    assert.equal(at.runtime.approvals.list().length, 1);
    await page.getByRole("button", { name: "Review the new call" }).click();
    await page.getByRole("button", { name: "Approve once" }).click();
    assert.equal((await process.wait()).result, "written");
  },
);

browserTest("Of two who decide at once one wins, and the other is told who did", async () => {
  await using at = await desk();
  const process = await write(at, "./out/a.md");
  const pages = [
    await at.open("/approvals", { role: "approver" }),
    await at.open("/approvals", { role: "admin" }),
  ];
  let held = 0;
  const both = Promise.withResolvers<void>();
  for (const page of pages) {
    await page.route(/decision$/, async (route) => {
      held += 1;
      if (held === 2) both.resolve();
      await both.promise;
      await route.continue();
    });
    await page.getByRole("button", { name: "Approve once" }).waitFor();
    // Who decided is heard, and not read: what its asker was told waits for nobody any more.
    await page.locator(".live.live").waitFor();
  }
  const codes = await Promise.all(pages.map(async (page) => {
    const [answer] = await Promise.all([
      page.waitForResponse(/decision$/),
      page.getByRole("button", { name: "Approve once" }).click(),
    ]);
    return answer.status();
  }));
  assert.deepEqual(codes.toSorted(), [200, 409]);
  const [winner, loser] = codes[0] === 200 ? ["approver", pages[1]!] : ["admin", pages[0]!];
  await loser.getByText(`Decided by ${winner}: approved.`).waitFor();
  await row(loser, "out/a.md").getByText(`decided by ${winner}`).waitFor();
  assert.equal((await process.wait()).result, "written");
});

const twice = defineImage({
  name: "twice",
  program: async ({ sys }) => {
    for (const name of ["a", "b"]) await sys.file.write({ path: `./out/${name}.md`, text: name });
    await sys.process.exit({ result: "both" });
  },
});

browserTest(
  "More than one call takes a rule, an end, and a second yes that says it in words",
  async () => {
    await using at = await desk();
    const process = await at.runtime.spawn(twice, {
      goal: "write both",
      grants: [allow("file.write", "./out/**")],
    });
    const page = await at.open("/approvals", { role: "approver" });
    await page.getByRole("button", { name: "Approve once" }).waitFor();
    await page.keyboard.press("A");
    await page.locator("[name=scope][value=once]:focus").waitFor();
    await page.keyboard.press("ArrowDown");
    const rule = page.getByLabel("Pattern of resources");
    await rule.fill("./secret/**");
    await page.getByText("does not cover ./out/a.md").first().waitFor();
    const wide = page.getByRole("button", { name: "Approve for process…" });
    assert(await wide.isDisabled());
    await page.getByRole("button", { name: "./out/*.md" }).click();
    await page.getByText("no earlier file.write call").waitFor();
    assert.equal(await page.getByRole("radio", { name: "for good" }).count(), 0);
    await page.getByRole("radio", { name: "until…" }).check();
    await page.getByText("Say until when, in the future").waitFor();
    await page.getByRole("radio", { name: "1 hour" }).check();
    await wide.press("Enter");
    await page.locator(".sure:focus").waitFor();
    const words = await page.locator(".sure").innerText();
    assert.match(
      words,
      /p_1, while it lasts may do file\.write\(\.\/out\/\*\.md\) until .*no earlier/s,
    );
    await page.keyboard.press("Enter");
    assert.equal(at.runtime.approvals.list().length, 1);
    await page.getByRole("button", { name: "Yes, approve all of that" }).click();
    assert.equal((await process.wait()).result, "both");
  },
);

browserTest(
  "Requests that are alike are answered together, by a pattern that all of them match",
  async () => {
    await using at = await desk();
    const processes = [];
    for (const name of ["a", "b", "c"]) processes.push(await write(at, `./out/${name}.md`));
    const page = await at.open("/approvals", { role: "approver" });
    await row(page, "c.md").waitFor();
    for (const box of await page.locator(".requests input").all()) await box.check();
    const pattern = page.getByLabel("Pattern of resources");
    assert.equal(await pattern.inputValue(), "./out/*.md");
    await pattern.fill("./out/a*");
    await page.getByText("The pattern does not match 2 of them").waitFor();
    assert(await page.getByRole("button", { name: "Approve these 3…" }).isDisabled());
    await pattern.fill("./out/*.md");
    await assertSound(page, "approvals-batch");
    await page.getByRole("button", { name: "Approve these 3…" }).click();
    await page.getByText("3 calls are let through, once each").waitFor();
    assert.equal(at.runtime.approvals.list().length, 3);
    await page.getByRole("button", { name: "Yes, approve these 3" }).click();
    await page.getByText("answered", { exact: true }).nth(2).waitFor();
    for (const process of processes) assert.equal((await process.wait()).result, "written");
  },
);

browserTest("Other arguments are shown as a difference before they are approved", async () => {
  await using at = await desk();
  const process = await write(at, "./out/a.md");
  const page = await at.open("/approvals", { role: "approver" });
  await page.getByRole("button", { name: "Approve once" }).waitFor();
  await page.keyboard.press("e");
  const args = page.locator("textarea:focus");
  const text = await args.inputValue();
  const yes = page.getByRole("button", { name: "Approve this instead" });
  assert(await yes.isDisabled());
  await args.fill(text.replace("42 rows", "43 rows"));
  await page.locator(".come", { hasText: "43 rows" }).waitFor();
  await page.getByText("The agent is told that a person changed them").waitFor();
  await args.fill(`${text}{`);
  await page.getByText("it is not JSON yet").waitFor();
  await args.fill(text.replace("42 rows", "43 rows"));
  await yes.click();
  assert.equal((await process.wait()).result, "written");
});
