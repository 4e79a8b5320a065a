/**
 * The inbox in a browser: what agents write stays text, forms by schema, what comes in meanwhile.
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { allow, ask, defineImage } from "../mod.ts";
import {
  assertSound,
  browserTest,
  consolePlace,
  overhang,
  picture,
  titled,
} from "./console_place.ts";
import { scratch } from "./scratch.ts";

const row = (page: Page, what: string) => page.locator(".requests a", { hasText: what });

/** Asks what its goal says, by the schema that it was given. */
const asker = defineImage({
  name: "asker",
  program: async ({ sys, goal, input }) => {
    const { answer } = await sys.human.ask({ prompt: goal, ...(input as object) });
    await sys.process.exit({ result: answer });
  },
});

const writer = defineImage({
  name: "writer",
  program: async ({ sys, goal }) => {
    await sys.file.write({ path: `./out/${goal}.md`, text: goal });
    await sys.process.exit({ result: "written" });
  },
});

const HOSTILE = `<img src=x onerror="document.title='taken'"><style>*{display:none}</style>` +
  `\u202eevil\u202c zero\u200bwidth </div></main>[click](javascript:alert(1)) ` +
  `${"a\u0300\u0301\u0302\u0303".repeat(50)} ${"W".repeat(4_000)}\n${"line\n".repeat(400)}`;

browserTest("Whatever an agent writes stays text, and moves no button out of sight", async () => {
  await using at = await consolePlace();
  await at.runtime.spawn(asker, {
    goal: HOSTILE.slice(0, 8_000),
    input: { choices: [`<b>yes</b>\u202e`, "no ".repeat(80)] },
    grants: [allow("human.ask")],
  });
  const page = await at.open("/approvals/req_1.1", { role: "approver" });
  await page.getByText("claimed by the agent").waitFor();
  for (const width of [1200, 360]) {
    await page.setViewportSize({ width, height: 640 });
    assert.equal(await page.locator("main img, main style, main b").count(), 0);
    await titled(page, "(1) Approvals · Agent libOS");
    assert.equal(await overhang(page), 0, `${width} scrolls sideways`);
    for (const name of ["Answer", "Deny…", "Deny & stop…"]) {
      const button = page.locator(".verdict button", { hasText: name }).first();
      const { y, height, x, width: wide } = (await button.boundingBox())!;
      assert(y >= 0 && y + height <= 640 && x >= 0 && x + wide <= width, `${name} at ${width}`);
    }
  }
  const shown = await page.locator(".card").innerText();
  for (const text of ["<img src=x", "\\u{202e}evil", "zero\\u{200b}width", "</div></main>"]) {
    assert(shown.includes(text), text);
  }
  assert(!/[\u202e\u200b]/.test(await page.locator("body").innerText()));
  await assertSound(page, "approvals-hostile");
});

browserTest("The arguments of a call are shown with each of their characters", async () => {
  const workspace = scratch();
  await Deno.mkdir(`${workspace}/out`);
  await using at = await consolePlace({ runtime: { workspace } });
  await at.runtime.spawn(writer, {
    goal: "a\u0430\u0301\u200d\u00a0b",
    grants: [ask("file.write", "./out/**")],
  });
  const page = await at.open("/approvals/req_1.1", { role: "approver" });
  const args = page.getByLabel("Arguments, exactly");
  await args.waitFor();
  assert.match(await args.innerText(), /\.\/out\/aа\\u0301\\u200d\\u00a0b\.md/);
});

const schema = {
  type: "object",
  required: ["host", "port", "level"],
  properties: {
    host: { type: "string", description: "without the port" },
    port: { type: "integer", minimum: 1, maximum: 65_535 },
    ratio: { type: "number" },
    secure: { type: "boolean" },
    level: { enum: ["low", "high"] },
    tags: { type: "array", items: { type: "string" } },
    owner: { type: "object", properties: { name: { type: "string" } } },
    extra: {},
  },
};

browserTest(
  "A question is answered by a form made from its schema, and nothing is lost from it",
  async () => {
    await using at = await consolePlace();
    const process = await at.runtime.spawn(asker, {
      goal: "Where to?",
      input: { schema },
      grants: [allow("human.ask")],
    });
    const page = await at.open("/approvals", { role: "approver" });
    const answer = page.getByRole("button", { name: "Answer" });
    await answer.waitFor();
    assert(await answer.isDisabled());
    await page.keyboard.press("a");
    await page.locator("input:focus, textarea:focus").waitFor();
    await page.getByLabel("host").fill("example.test");
    await page.locator("[inputmode=decimal]").first().fill("80.5");
    await page.getByText("expected a whole number").first().waitFor();
    await page.locator("[inputmode=decimal]").first().fill("8080");
    await page.getByLabel("ratio").fill("0.5");
    await page.getByLabel("secure").check();
    // Another request comes in meanwhile.
    await at.runtime.spawn(asker, { goal: "And me?", grants: [allow("human.ask")] });
    await page.getByText("New: low And me?").waitFor();
    await titled(page, "(2) Approvals · Agent libOS");
    await page.getByLabel("high").check();
    await page.getByLabel("tags").fill("one\ntwo");
    await page.getByLabel("name").fill("ada");
    await page.getByLabel("extra").fill('{"a":');
    await page.getByText("it is not JSON yet").first().waitFor();
    await page.getByLabel("extra").fill('{"a":[1]}');
    await assertSound(page, "approvals-form");
    await answer.click();
    assert.deepEqual((await process.wait()).result, {
      host: "example.test",
      port: 8_080,
      ratio: 0.5,
      secure: true,
      level: "high",
      tags: ["one", "two"],
      owner: { name: "ada" },
      extra: { a: [1] },
    });
    await page.getByLabel("Answer").fill("yes");
    await answer.click();
    await page.getByText("Nothing waits for a person").waitFor();
  },
);

browserTest("What comes in or is decided elsewhere moves nothing away from who reads", async () => {
  const workspace = scratch();
  await Deno.mkdir(`${workspace}/out`);
  const policy = ["ask file.write(./out/a*)", "ask file.write(./out/z*) risk high"].join("\n");
  await using at = await consolePlace({ runtime: { workspace, policy } });
  const grants = [allow("file.write", "./out/**")];
  await at.runtime.spawn(writer, { goal: "a1", grants });
  await at.runtime.spawn(writer, { goal: "a2", grants });
  const page = await at.open("/approvals", { role: "approver" });
  await row(page, "a1").waitFor();
  await row(page, "a2").waitFor();
  await page.keyboard.press("j");
  await page.locator(".card h2", { hasText: "a2.md" }).waitFor();
  await at.runtime.spawn(writer, { goal: "z", grants });
  await page.getByText("New: high file.write(./out/z.md)").waitFor();
  const names = async () => (await page.locator(".requests .what").allInnerTexts()).join(" ");
  assert.match(await names(), /z\.md.*a1\.md.*a2\.md/);
  assert.equal(await page.locator(".card h2").first().innerText(), "file.write(./out/a2.md)");
  const [, two] = at.runtime.approvals.list();
  await at.runtime.approvals.decide(two!.id, { outcome: "deny" }, { actor: "grace" });
  await page.getByText("Decided by grace: denied.").waitFor();
  await row(page, "a2").getByText("decided by grace").waitFor();
  assert.equal(await page.locator("[data-yes]").count(), 0);
  await page.keyboard.press("k");
  await page.locator(".card h2", { hasText: "a1.md" }).waitFor();
  await row(page, "a2").waitFor({ state: "detached" });
});

browserTest(
  "It takes two where two are asked for, and nobody decides what is their own",
  async () => {
    const workspace = scratch();
    await Deno.mkdir(`${workspace}/out`);
    const policy = "ask file.write(./out/**) people 2";
    await using at = await consolePlace({ runtime: { workspace, policy } });
    const grants = [allow("file.write", "./out/**")];
    const process = await at.runtime.spawn(writer, { goal: "a", grants });
    const one = await at.open("/approvals", { role: "approver" });
    await one.getByText("2 people: 0 agreed").waitFor();
    await one.getByRole("button", { name: "Approve once" }).click();
    await one.getByText("You agreed already. Somebody else has to, too.").waitFor();
    await one.getByText("2 people: 1 agreed").waitFor();
    const two = await at.open("/approvals", { role: "admin" });
    await two.getByText("approver agreed").waitFor();
    await two.getByRole("button", { name: "Approve once" }).click();
    assert.equal((await process.wait()).result, "written");
    await at.runtime.spawn(writer, { goal: "own", grants, by: "admin" });
    await two.getByText("Any other approver, operator or admin may decide it").waitFor();
    assert.equal(await two.locator("[data-yes]").count(), 0);
    await one.getByRole("button", { name: "Approve once" }).waitFor();
    const viewer = await at.open("/approvals", { role: "viewer" });
    await viewer.getByText("Your role is viewer. An approver decides.").waitFor();
    await picture(viewer, "approvals-viewer");
  },
);
