/**
 * The console's pages of authority, memory, evidence and limits in a browser: what they show, their
 * acts, and that nothing an agent wrote is more than text.
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import {
  archive,
  archivist,
  contentOptions,
  EVIL,
  IMAGES,
  listener,
  SHOWN,
  thinker,
  writer,
} from "./console_content.ts";
import { assertSound, barriers, browserTest, consolePlace } from "./console_place.ts";
import { allow } from "../mod.ts";

const place = async () =>
  await consolePlace({ runtime: await contentOptions(), serve: { images: IMAGES } });
type Place = Awaited<ReturnType<typeof place>>;

async function logOf(at: Place, tree: `t_${number}`) {
  return await Array.fromAsync(at.runtime.log(tree));
}

async function assertHarmless(page: Page, where: string): Promise<void> {
  const planted = "main img, main script, dialog img, dialog script, a[href^='javascript:']";
  assert.equal(await page.locator(planted).count(), 0, where);
  assert.equal(await page.evaluate("window.evil"), undefined, where);
}

/** Path → what stands there once it is read, and the part of the hostile text that is shown. */
const PAGES: readonly (readonly [path: string, name: string, seen: string, hostile: boolean])[] = [
  ["/view/capabilities?tree=t_1", "capabilities", "file.read(./notes/**)", false],
  ["/view/capabilities?as=tree", "capability-tree", "held by", false],
  ["/view/objects", "objects", "p_1/note", false],
  ["/view/objects/obj_1.OBJECT", "object", "Reveal", false],
  ["/view/tools", "tools", "count_rows", false],
  ["/view/tools/HASH", "tool", "export default async", true],
  ["/view/images", "images", "archivist@1", false],
  ["/view/checkpoints", "checkpoints", "ck_1.1", true],
  ["/view/audit?tree=t_1&line=9", "audit", "Processes: ", true],
  ["/view/budgets", "budgets", "Nearest limit", true],
  ["/view/effects", "effects", "model.generate", false],
  ["/view/tokens", "tokens", "Make a token", false],
];

browserTest(
  "Each page shows what there is, to everybody, and what agents wrote stays text",
  async () => {
    await using at = await place();
    const process = await archive(at.runtime);
    await process.checkpoint(`before ${EVIL}`);
    await process.checkpoint("after");
    const { image, speak } = thinker();
    await at.runtime.spawn(image, { goal: "Think" });
    const page = await at.open("/view/tools");
    const hash = (await page.locator("tbody a[href^='/view/tools/']").first()
      .getAttribute("href"))!.split("/").at(-1)!;
    await page.goto(`${at.server.url}/view/objects`);
    const object = (await page.getByRole("link", { name: "p_1/note" })
      .getAttribute("href"))!.split(".").at(-1)!;
    for (const [path, name, seen, isHostile] of PAGES) {
      const there = path.replace("HASH", hash).replace("OBJECT", object);
      await page.goto(`${at.server.url}${there}`);
      await page.getByText(seen).first().waitFor();
      if (isHostile) await page.getByText(SHOWN).first().waitFor();
      await assertSound(page, name);
      await assertHarmless(page, name);
    }
    speak();
  },
);

browserTest("A right is asked about, given, and taken back with what falls with it", async () => {
  await using at = await place();
  await archive(at.runtime);
  const page = await at.open("/view/capabilities");
  const who = page.locator("section", { hasText: "Who can …?" });
  await who.getByLabel("Call").fill("file.read(./notes/a.txt)");
  await who.getByLabel("Call").press("Enter");
  await who.getByText("2 of 2 processes can").waitFor();
  const why = page.locator("section", { hasText: "Why?" });
  await why.getByLabel("Process").fill("p_1.1");
  await why.getByLabel("Call").fill("file.write(./out/a.md)");
  await why.getByRole("button", { name: "Explain" }).click();
  await why.getByText("nothing that it holds covers this").waitFor();
  await why.getByRole("button", { name: "Put it in the form" }).click();
  const give = page.locator("section", { hasText: "Give a right" }).last();
  assert.equal(await give.getByLabel("Process", { exact: true }).inputValue(), "p_1.1");
  assert.equal(await give.getByLabel("Uses", { exact: true }).inputValue(), "1");
  await give.getByRole("button", { name: "Give" }).click();
  await give.getByText(/cap_1\.\d+ was given to p_1\.1/).waitFor();
  await page.getByRole("region", { name: "Capabilities" }).getByText("1 of 1 left").waitFor();

  await page.getByLabel("Show as").selectOption("tree");
  const root = page.locator(".captree > ul > li", { hasText: "file.read(./notes/**)" }).first();
  assert.equal(await root.locator("ul .badge").innerText(), "spawn");
  await root.getByRole("button", { name: /Revoke/ }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("2 capabilities fall, in 2 processes").waitFor();
  assert.deepEqual(await barriers(page), []);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await root.getByRole("button", { name: /Revoke/ }).first().click();
  await dialog.getByLabel("Why, for the log").fill("tidying");
  await dialog.getByRole("button", { name: "Revoke 2" }).click();
  await dialog.waitFor({ state: "detached" });
  await root.waitFor({ state: "detached" });
  const revoked = (await logOf(at, "t_1")).filter(({ type }) => type === "cap.revoked");
  const { ids, by, reason } = revoked.at(-1)!.data as { ids: string[]; by: string; reason: string };
  assert.deepEqual([ids.length, by, reason], [2, "admin", "tidying"]);
});

browserTest(
  "Content is shown to who asks for it, the log says so, and versions are compared",
  async () => {
    await using at = await place();
    await archive(at.runtime);
    const page = await at.open("/view/objects");
    await page.getByLabel("Name").fill("not");
    await page.getByText("p_1/plan").waitFor({ state: "detached" });
    await page.getByRole("link", { name: "p_1/note" }).click();
    await page.getByText("will say that admin looked").waitFor();
    assert.equal(await page.getByText("three").count(), 0);
    for (const version of [1, 2]) {
      await page.getByRole("button", { name: `Reveal version ${version}` }).click();
      await page.getByRole("region", { name: `Content of version ${version}` }).waitFor();
    }
    const diff = page.getByRole("region", { name: "From version 1 to 2" });
    assert.match(await diff.innerText(), /one\n- two\n- three\n\+ 2\n\+ three <img/);
    await assertHarmless(page, "a version");
    await assertSound(page, "object-revealed");
    const looks = (await logOf(at, "t_1")).filter(({ type, data }) =>
      type === "inbox.taken" && (data as { what: string }).what.startsWith("reveal ")
    );
    assert.deepEqual(looks.map(({ data }) => (data as { by: string }).by), ["admin", "admin"]);
  },
);

browserTest("The log is read by what happened, checked, and followed line by line", async () => {
  await using at = await place();
  await archive(at.runtime);
  const page = await at.open("/view/audit");
  await page.getByText("not checked yet").waitFor();
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText(/\d+ lines of 1 trees: every chain holds/).waitFor();
  await page.locator(".badge", { hasText: "chains hold" }).waitFor();
  await page.getByLabel("Tree").selectOption("t_1");
  const lines = page.getByRole("region", { name: "Lines", exact: true });
  await lines.getByText("tree created", { exact: false }).or(lines.getByText("created with root"))
    .first().waitFor();
  await page.getByLabel("Decision").selectOption("deny");
  await lines.locator("tbody tr").nth(1).waitFor({ state: "detached" });
  assert.match(await lines.locator("tbody").innerText(), /file\.read.*secret\.env.*DENY/is);
  await lines.getByRole("button", { name: /State at line/ }).click();
  const replay = page.locator("section", { has: page.getByText(/^State at line/) }).last();
  await replay.getByText("EPERM", { exact: false }).or(replay.getByText("deny", { exact: true }))
    .first().waitFor();
  const slider = page.getByLabel("Line", { exact: true });
  await slider.focus();
  await slider.press("Home");
  await page.getByText("There is no line to compare with.").waitFor();
  await page.getByRole("button", { name: "Line after" }).click();
  await page.getByRole("heading", { name: "State at line 2" }).waitFor();
  await page.getByLabel("What differs").selectOption("now");
  await replay.getByText(/added\s+objects\s+obj_1/).first().waitFor();
  await slider.press("End");
  await replay.getByText("Processes: 2").waitFor();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: "Export JSON Lines" }).click(),
  ]);
  assert.equal(download.suggestedFilename(), "t_1.jsonl");
});

browserTest(
  "A tree branches off with another goal, and goes back once its name was typed",
  async () => {
    await using at = await place();
    const grants = [allow("file.*", "./notes/**")];
    const process = await at.runtime.spawn(writer, { goal: "Write", grants });
    await at.runtime.runUntilIdle();
    const page = await at.open("/view/checkpoints");
    await page.getByText("No checkpoint was taken").waitFor();
    await page.getByLabel("Process").fill("p_1");
    await page.getByLabel("Name").fill("before");
    await page.getByRole("button", { name: "Take" }).click();
    await page.getByText(/ck_1\.\d+ names line \d+ of t_1/).waitFor();
    await process.send("go");
    await at.runtime.runUntilIdle();
    await process.checkpoint("later");
    await page.getByText("later").first().waitFor();
    await page.getByRole("button", { name: "Compare" }).click();
    await page.getByText(/changed\s+processes\s+p_1/).waitFor();

    await page.getByRole("button", { name: /Roll back to/ }).first().click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("1 effect outside cannot be undone").waitFor();
    await dialog.getByText("written.txt").first().waitFor();
    const back = dialog.getByRole("button", { name: "Roll back" });
    assert.equal(await back.isDisabled(), true);
    assert.deepEqual(await barriers(page), []);
    await assertSound(page, "rollback");
    await dialog.getByLabel("Put the files back too").check();
    const word = /Type (ck_\S+)/.exec(await dialog.innerText())![1]!;
    await dialog.getByLabel(/^Type/).fill(word);
    await back.click();
    await dialog.waitFor({ state: "detached" });
    assert((await logOf(at, "t_1")).some(({ type }) => type === "tree.restored"));

    await page.getByRole("button", { name: `Fork from ${word}` }).click();
    await dialog.getByLabel("Goal").fill(`Otherwise ${EVIL}`);
    // A policy is an admin's to replace.
    assert.equal(await dialog.getByText("Policy").count(), 1);
    const other = await at.open("/view/checkpoints", { role: "operator" });
    await other.getByRole("button", { name: `Fork from ${word}` }).click();
    await other.getByRole("dialog").getByText("Budget").waitFor();
    assert.equal(await other.getByRole("dialog").getByText("Policy").count(), 0);
    await dialog.getByText("Budget").click();
    await dialog.getByLabel("Tokens").fill("12");
    await dialog.getByRole("button", { name: "Fork" }).click();
    await page.waitForURL("**/p/p_2");
    const fork = await (await at.runtime.get("p_2"))!.info();
    assert.equal(fork.goal, `Otherwise ${EVIL}`);
    assert.equal(fork.budget.tokens, 12);
  },
);

browserTest("A tool's versions are compared, and one is taken from who holds it", async () => {
  await using at = await place();
  await archive(at.runtime);
  const page = await at.open("/view/tools");
  await page.getByRole("link", { name: "count_rows" }).last().click();
  await page.getByRole("region", { name: "Source of count_rows" }).waitFor();
  const observed = await page.getByRole("region", { name: "Declared and observed" }).last()
    .innerText();
  assert.match(observed, /file\.read\s+file\.read\(\.\/notes\/\*\)\s+1\s+0/);
  await page.getByLabel("Compare with").selectOption({ index: 1 });
  const diff = page.getByRole("region", { name: "What differs" });
  assert.match(await diff.innerText(), /^[-+] .*rows: 1\d/m);
  await assertHarmless(page, "a source");
  await page.getByRole("button", { name: "Revoke this version" }).click();
  const dialog = page.getByRole("dialog");
  const word = /Type (\w+) to confirm/.exec(await dialog.innerText())![1]!;
  await dialog.getByLabel(/^Type/).fill(word);
  await dialog.getByRole("button", { name: "Revoke" }).click();
  await page.getByText("It is revoked, for good.").waitFor();
});

browserTest("Limits are set, and what was spent is plotted and told as a table", async () => {
  await using at = await place();
  await archive(at.runtime);
  const page = await at.open("/view/budgets");
  await page.getByRole("img", { name: /^Calls: / }).waitFor();
  await page.locator("figure", { hasText: "Refused calls" }).getByText("As a table").click();
  await page.getByRole("region", { name: "Refused calls, by right" }).getByText("file.read")
    .waitFor();
  await page.getByText("Tool calls: 2 of 4").first().waitFor();
  await page.getByRole("button", { name: "Set limits of p_1", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Tokens").fill("many");
  await dialog.getByRole("button", { name: "Set" }).click();
  await dialog.getByText('Cannot set Tokens to "many"').waitFor();
  await dialog.getByLabel("Tokens").fill("60000");
  await dialog.getByRole("button", { name: "Set" }).click();
  await page.getByText("0 of 60.0k").first().waitFor();
  const { budget } = await (await at.runtime.get("p_1"))!.info();
  assert.equal(budget.tokens, 60_000);
});

browserTest(
  "A token is made, its secret shown once, and taken back; an image is started",
  async () => {
    await using at = await place();
    const page = await at.open("/view/tokens");
    await page.getByLabel("Name").fill("ada");
    await page.getByLabel("Role").selectOption("approver");
    await page.getByLabel("Sees only processes with labels").fill("team=a");
    await page.getByRole("button", { name: "Make" }).click();
    const dialog = page.getByRole("dialog");
    const secret = (await dialog.locator("pre").innerText()).trim();
    const whoami = await fetch(`${at.server.url}/v1/whoami`, {
      headers: { authorization: `Bearer ${secret}` },
    });
    assert.equal((await whoami.json()).name, "ada");
    await dialog.getByRole("button", { name: "Close" }).click();
    await page.getByText("team=a").first().waitFor();
    assert.equal(await page.getByText(secret).count(), 0);
    await page.getByRole("button", { name: "Revoke ada" }).click();
    await dialog.getByRole("button", { name: "Revoke" }).click();
    await page.getByRole("button", { name: "Revoke ada" }).waitFor({ state: "detached" });

    await page.goto(`${at.server.url}/view/images`);
    await page.getByRole("button", { name: `Start ${listener.ref}` }).click();
    await dialog.getByLabel("Goal").fill("Hear me");
    await dialog.getByLabel("Rights, one rule a line").fill("allow file.read(./notes/**)");
    await dialog.getByLabel("Labels").fill("team");
    await dialog.getByRole("button", { name: "Start" }).click();
    await dialog.getByText('Cannot read label "team"').waitFor();
    assert.equal(await dialog.getByLabel("Goal").inputValue(), "Hear me");
    await dialog.getByLabel("Labels").fill("team=b");
    await dialog.getByLabel("Tokens").fill("500");
    await dialog.getByRole("button", { name: "Start" }).click();
    await page.waitForURL("**/p/p_1");
    const info = await (await at.runtime.get("p_1"))!.info();
    assert.deepEqual([info.goal, info.labels["team"], info.budget.tokens], ["Hear me", "b", 500]);
  },
);

browserTest("Who may only look is offered no act on any of these pages", async () => {
  await using at = await place();
  await (await archive(at.runtime)).checkpoint("here");
  const page = await at.open("/view/capabilities", { role: "viewer" });
  const acts = /Revoke|Give$|Fork|Roll back|Take$|Set limits|Reveal|^Start|^Make$|Export/;
  for (const path of ["capabilities", "objects", "checkpoints", "tools", "budgets", "images"]) {
    await page.goto(`${at.server.url}/view/${path}`);
    await page.locator("main table, main .card").first().waitFor();
    assert.equal(await page.locator("main").getByRole("button", { name: acts }).count(), 0, path);
  }
  await page.goto(`${at.server.url}/view/tokens`);
  await page.getByText("Tokens are for role admin").waitFor();
  assert.equal(archivist.ref, "archivist@1");
});
