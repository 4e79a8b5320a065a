/**
 * What was decided, labels and how long an answer holds, in a browser; and every page at 360 pixels.
 * @module
 */

/// <reference lib="dom" />

import assert from "node:assert/strict";
import { allow, defineImage } from "../mod.ts";
import type { ModelReply } from "../kernel/world.ts";
import { LIMITS } from "../kernel/limits.ts";
import { archive, contentOptions, EVIL, IMAGES, SHOWN } from "./console_content.ts";
import { assertSound, browserTest, consolePlace, overhang } from "./console_place.ts";
import { scratch } from "./scratch.ts";

const writer = defineImage({
  name: "writer",
  program: async ({ sys, input }) => {
    for (const path of input as readonly string[]) {
      await sys.file.write({ path, text: "words" }).catch(() => {});
    }
    await sys.message.receive({});
  },
});

async function office(policy: string, read = "./in") {
  const workspace = scratch();
  for (const name of ["in", "out"]) await Deno.mkdir(`${workspace}/${name}`);
  await Deno.writeTextFile(`${workspace}/in/a.txt`, "words");
  const at = await consolePlace({ runtime: { workspace, policy } });
  const grants = [allow("file.write", "./out/**"), allow("file.read", `${read}/**`)];
  return { at, grants };
}

browserTest(
  "What people decided is found again from the inbox, with what became of it",
  async () => {
    const { at, grants } = await office("ask file.write(./out/**)");
    await using _ = at;
    const input = ["./out/a", "./out/b", "./out/c"];
    await at.runtime.spawn(writer, { goal: "Write", input, grants });
    const page = await at.open("/approvals", { role: "approver" });
    await page.getByRole("button", { name: "Approve once" }).waitFor();
    // The end of what reaches further than this call is told before anybody chooses it.
    const minutes = LIMITS.grantExpiryMsDefault / 60_000;
    await page.locator(".scopes label", { hasText: "process" }).first()
      .getByText(`for ${minutes} minutes unless you say otherwise`).waitFor();
    await page.getByRole("button", { name: "Approve once" }).click();
    await page.locator(".card h2", { hasText: "./out/b" }).waitFor();
    await page.locator("[name=scope][value=process]").check();
    await page.getByRole("button", { name: "Approve for process…" }).click();
    await page.locator(".sure", { hasText: "15m from now" }).waitFor();
    await page.getByRole("button", { name: "Yes, approve all of that" }).click();
    await page.locator(".card h2", { hasText: "./out/c" }).waitFor();
    const [third] = at.runtime.approvals.list();
    await at.runtime.approvals.decide(third!.id, { outcome: "deny", reason: EVIL }, {
      actor: "bo",
    });
    await page.locator("nav").getByRole("link", { name: "Decided" }).click();
    const rows = page.getByRole("list", { name: "Decisions" }).locator("> li");
    await rows.nth(2).waitFor();
    const texts = await rows.allInnerTexts();
    assert.match(texts[0]!, /denied\s+by bo/);
    assert(texts[0]!.includes(SHOWN), texts[0]!);
    assert.match(
      texts[1]!,
      /approved\s+by approver[^]*for process: \.\/out\/b[^]*holds until .*1 call /,
    );
    assert.match(
      texts[2]!,
      /file\.write \.\/out\/a[^]*for this call, once[^]*used, let 1 call through/,
    );
    assert.equal(await page.evaluate("window.evil"), undefined);
    await assertSound(page, "decided");
    await page.keyboard.press("/");
    await page.locator("[data-filter]:focus").waitFor();
    await page.keyboard.type("out/a");
    await rows.nth(1).waitFor({ state: "detached" });
    assert.equal(new URL(page.url()).search, "?words=out%2Fa");
    await page.getByLabel("Find").fill("");
    // One row alone would be there from before.
    await rows.nth(2).waitFor();
    await page.getByLabel("Outcome").selectOption("deny");
    await rows.nth(1).waitFor({ state: "detached" });
    assert.match(await rows.first().innerText(), /by bo/);
    await rows.first().getByRole("link", { name: /req_1\.3, line/ }).click();
    await page.getByRole("heading", { name: /^State at line/ }).waitFor();
  },
);

const reader = defineImage({
  name: "reader",
  program: async ({ sys }) => {
    await sys.file.read({ path: "./in/a.txt" });
    await sys.object.create({ name: "note", type: "text", value: "words" });
    await sys.file.write({ path: "./out/a.txt", text: "words" }).catch(() => {});
    await sys.message.receive({});
  },
});

browserTest(
  "What a process has seen is told in words, and why a sink refused its call",
  async () => {
    const { at, grants } = await office([
      "label file.read(./in/**) sensitivity=secret trust=untrusted",
      "sink file.write(./out/**) sensitivity<=internal else deny because the crew reads it",
    ].join("\n"));
    await using _ = at;
    await at.runtime.spawn(reader, { goal: "Read", grants });
    const page = await at.open("/p/p_1");
    const seen = page.locator("details.label");
    await seen.getByText("secret", { exact: true }).waitFor();
    await seen.locator("summary").focus();
    await page.keyboard.press("Enter");
    for (const text of ["great harm when it gets out", "nobody vouches", "from file:./in"]) {
      await seen.getByText(text).waitFor();
    }
    await page.locator(".mark[data-seq][aria-label*='file.write']").last().click();
    const panel = page.getByRole("complementary");
    await panel.getByText("does not take what was seen (secret, untrusted; from file:./in)").first()
      .waitFor();
    await panel.getByText("A sink decided").waitFor();
    await panel.getByText("because the crew reads it").first().waitFor();
    await assertSound(page, "process-sink");
    await page.goto(`${at.server.url}/view/capabilities`);
    const why = page.locator("section", { hasText: "Why?" });
    await why.getByLabel("Process").fill("p_1");
    await why.getByLabel("Call").fill("file.write(./out/a.txt)");
    await why.getByRole("button", { name: "Explain" }).click();
    await why.getByText("secret, untrusted; from file:./in").waitFor();
    await why.getByText("The rule is a sink").waitFor();
    await page.goto(`${at.server.url}/view/objects`);
    await page.getByRole("link", { name: "p_1/note" }).click();
    await page.locator("details.label", { hasText: "secret" }).waitFor();
  },
);

const PATHS = [
  ...["/", "/approvals", "/approvals/decided"],
  ...["processes", "capabilities", "capabilities?as=tree", "objects", "objects/obj_1.2", "tools"]
    .map((name) => `/view/${name}`),
  ...["images", "checkpoints", "audit?tree=t_1&line=9", "budgets", "effects", "tokens"]
    .map((name) => `/view/${name}`),
  ...["", "conversation", "capabilities", "objects", "tools", "checkpoints", "lines"]
    .map((tab) => `/p/p_1?tab=${tab}`),
];

const LONG = "W".repeat(3_000);

/** Asks a model that says nothing until it is told to. */
function sender() {
  const { promise, resolve } = Promise.withResolvers<ModelReply>();
  const image = defineImage({
    name: "sender",
    model: { id: "silent/model", generate: () => promise },
    program: async ({ sys }) => {
      const messages = [{ role: "user" as const, text: LONG }];
      await sys.model.generate({ model: "silent/model", messages });
    },
  });
  const said = { text: "", calls: [], finish: "stop", inputTokens: 1, outputTokens: 1 } as const;
  return { image, [Symbol.dispose]: () => resolve(said) };
}

browserTest("No page is wider than a window of 360 pixels, whatever agents wrote", async () => {
  await using at = await consolePlace({
    runtime: await contentOptions(),
    serve: { images: IMAGES },
  });
  const process = await archive(at.runtime, `${LONG} ${EVIL}`);
  await process.checkpoint(LONG.slice(0, 100));
  const page = await at.open("/", { width: 360 });
  for (const path of PATHS) {
    await page.goto(`${at.server.url}${path}`);
    await page.locator("main h1").waitFor();
    await page.locator("main > :not(.head):not(p.dim)").first().waitFor({ state: "attached" });
    assert.equal(await overhang(page), 0, `${path} scrolls sideways`);
  }
  using model = sender();
  await at.runtime.spawn(model.image, { goal: "Think", grants: [allow("model.generate", "**")] });
  await page.goto(`${at.server.url}/view/effects`);
  await page.getByRole("button", { name: "Reveal arguments" }).click();
  const args = page.getByRole("region", { name: /^Arguments of p_2#/ });
  await args.waitFor();
  assert.equal(await overhang(page), 0);
  // All of it can be read: nothing of its lines is beyond its side, and it scrolls down.
  const inside = await args.evaluate((
    one: HTMLElement,
  ) => [one.scrollWidth <= one.clientWidth, one.scrollHeight > one.clientHeight]);
  assert.deepEqual(inside, [true, true]);
});
