/**
 * Requests of each kind in the inbox, and each way to answer them.
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { allow, defineImage, type Runtime } from "../mod.ts";
import { MemoryStore, VirtualClock } from "../testing.ts";
import { Runtime as Kernel } from "../runtime/runtime.ts";
import {
  assertSound,
  browserTest,
  type ConsolePlace,
  consolePlace,
  pressAll,
} from "./console_place.ts";
import { CSV_SUM, CSV_SUM_NEXT } from "./console_stage.ts";
import { scratch } from "./scratch.ts";
import { CountedFiles } from "./world_fixture.ts";

const writer = defineImage({
  name: "writer",
  program: async ({ sys, goal }) => {
    const write = async (path: string) => await sys.file.write({ path, text: "# Report\n" });
    const result = await write(goal).then(
      () => "written",
      ({ code, message }) => `${code} ${message}`,
    );
    if (result === "written") await write("./out/second.md");
    await sys.process.exit({ result });
  },
});

const GRANTS = [allow("file.write", "./out/**")];

async function desk(): Promise<ConsolePlace> {
  const workspace = scratch();
  await Deno.mkdir(`${workspace}/out`);
  return await consolePlace({ runtime: { workspace, policy: "ask file.write(./out/**)" } });
}

const button = (page: Page, name: string) => page.getByRole("button", { name, exact: false });
const done = (page: Page) => page.getByText("Nothing waits for a person").first().waitFor();

const raiser = defineImage({
  name: "raiser",
  program: async ({ sys }) => {
    const limits = { toolCalls: 20, tokens: 500 };
    const result = await sys.budget.raise({ limits, reason: "Half is still to be read" });
    await sys.process.exit({ result: result as never });
  },
});

browserTest("A budget is raised as asked, or by less, and never by more", async () => {
  await using at = await consolePlace();
  const spawn = async () =>
    await at.runtime.spawn(raiser, { goal: "Read", budget: { toolCalls: 10, tokens: 100 } });
  const one = await spawn();
  const page = await at.open("/approvals", { role: "approver" });
  const card = page.locator(".card");
  await card.getByText("toolCalls: 0 used of 10, asks for 20").waitFor();
  await card.getByText("Half is still to be read").first().waitFor();
  assert.equal(await page.locator("[name=scope]").count(), 0, "a budget has no scope");
  await assertSound(page, "approvals-budget");
  await page.keyboard.press("e");
  const calls = page.getByLabel("toolCalls");
  await calls.fill("21");
  const less = button(page, "Approve this instead");
  assert(await less.isDisabled());
  await calls.fill("12");
  await less.click();
  assert.deepEqual((await one.wait()).result, {
    given: { toolCalls: 12, tokens: 500 },
    by: "approver",
  });
  const two = await spawn();
  await button(page, "Approve").click();
  assert.deepEqual((await two.wait()).result, {
    given: { toolCalls: 20, tokens: 500 },
    by: "approver",
  });
});

/** A kernel over a store whose last one died in the middle of a write; somebody else wrote, too. */
async function afterDeath(): Promise<Runtime> {
  const store = new MemoryStore();
  // The store outlives its kernels.
  store.close = () => Promise.resolve();
  const files = new CountedFiles();
  files.put("out/a", "before");
  const begun = Promise.withResolvers<void>();
  files.after = async (what) => {
    if (!what.startsWith("write ")) return;
    begun.resolve();
    await new Promise(() => {});
  };
  const kernel = () =>
    new Kernel({
      options: { approvals: "queue", images: [writer] },
      store,
      files,
      workshop: null,
      alone: true,
    });
  const first = kernel();
  first.start();
  await first.spawn(writer, { goal: "./out/a", grants: GRANTS });
  await begun.promise;
  files.after = () => {};
  files.put("out/a", "theirs");
  const second = kernel();
  await second.node.openLive(10);
  second.start();
  return second;
}

Deno.test("Who watches is told of an effect in doubt, though nothing else happens", async () => {
  await using os = await afterDeath();
  const kinds: string[] = [];
  for await (const { kind } of os.approvals.watch({ signal: AbortSignal.timeout(20_000) })) {
    kinds.push(kind);
    break;
  }
  assert.deepEqual(kinds, ["doubt"]);
  const [tree] = await os.node.options.store.list({ asking: true, limit: 10 });
  assert.equal(tree?.summary.asking, 1);
});

browserTest("What became of an effect in doubt is said by a person, with its reply", async () => {
  await using at = await consolePlace({ os: await afterDeath() });
  const page = await at.open("/approvals", { role: "approver" });
  const card = page.locator(".card");
  await card.getByText('The kernel died while "file.write" was under way').first().waitFor();
  await card.getByText("./out/a").first().waitFor();
  const answer = button(page, "Answer");
  assert(await answer.isDisabled());
  await page.getByRole("radio", { name: /^happened/ }).check();
  await page.getByLabel("bytes").fill("9");
  await page.getByLabel("sha256").fill("ab".repeat(32));
  await assertSound(page, "approvals-doubt");
  await page.getByRole("radio", { name: /^did not happen/ }).check();
  await answer.click();
  await done(page);
  const result = (await (await at.runtime.get("p_1"))!.wait()).result;
  assert.match(String(result), /^EIO .*a person says it did not happen/);
});

const toolmaker = defineImage({
  name: "toolmaker",
  program: async ({ sys }) => {
    for (const proposal of [CSV_SUM, CSV_SUM_NEXT]) {
      const { tool } = await sys.tool.propose(proposal as never);
      await sys.tool.test({ tool });
      await sys.tool.register({ tool });
    }
    await sys.process.exit({ result: "registered" });
  },
});

browserTest(
  "A generated tool is reviewed by its rights, tests, source and what changed",
  async () => {
    const workspace = scratch();
    const jit = { isolation: "process", review: "always", memoryMb: 128, timeout: "5s" } as const;
    await using at = await consolePlace({ runtime: { workspace, jit } });
    const process = await at.runtime.spawn(toolmaker, {
      goal: "Add up",
      grants: [allow("tool.register", "csv_*"), allow("file.*", "./**")],
    });
    const page = await at.open("/approvals", { role: "approver" });
    const may = page.getByRole("region", { name: "What it may do, and what changed" });
    await may.getByText("file.read(./*.csv)").waitFor();
    assert.match(await may.innerText(), /tests: 1 passed, 0 failed/);
    const source = page.getByRole("region", { name: "Source", exact: true });
    assert.match(await source.innerText(), /export default async \(\{ path, column \}, os\) => \{/);
    assert.equal(await page.locator("[name=scope][value=policy]").count(), 0);
    await button(page, "Approve once").click();
    await may.locator(".come", { hasText: "os.file.list" }).waitFor();
    assert.match(await may.innerText(), /file\.list\(\.\/data\/\*\*\)/);
    await assertSound(page, "approvals-review");
    await button(page, "Approve once").click();
    assert.equal((await process.wait()).result, "registered");
  },
);

const buyer = defineImage({
  name: "buyer",
  program: async ({ sys, goal }) => {
    await sys.capability.request({ rule: `net.fetch(${goal})`, reason: "I compare prices" });
    await sys.process.exit({ result: "may" });
  },
});

browserTest("Of an address it is said who is spoken to, and what is odd about it", async () => {
  await using at = await consolePlace();
  const ceiling = [allow("net.fetch", "**")];
  const process = await at.runtime.spawn(buyer, {
    goal: "http://bank.example@xn--80ak6aa92e.com/v1?x=1",
    ceiling,
  });
  const page = await at.open("/approvals", { role: "approver" });
  const url = page.locator(".url");
  assert.equal(await url.locator("strong").innerText(), "xn--80ak6aa92e.com");
  for (const text of ["the host is what follows the @", "punycode", "not encrypted"]) {
    await url.getByText(text).waitFor();
  }
  await page.getByText("I compare prices").first().waitFor();
  await assertSound(page, "approvals-address");
  await button(page, "Approve once").click();
  assert.equal((await process.wait()).result, "may");
});

browserTest("What is done at an address stands before it", async () => {
  await using at = await desk();
  await at.runtime.spawn(writer, { goal: "./out/a.md", grants: GRANTS });
  const page = await at.open("/", { role: "approver" });
  // No call of this runtime goes to the network: what is shown of one that would.
  await page.route(/\/v1\/approvals(\?|\/req_1\.1$)/, async (route) => {
    const answer = await route.fetch();
    const text = (await answer.text()).replace(
      /"args":\{[^}]*\}/g,
      () => '"args":{"url":"https://api.example.com/v1","method":"DELETE"}',
    );
    await route.fulfill({ response: answer, body: text });
  });
  await pressAll(page, "g a");
  await page.locator(".url .badge", { hasText: "DELETE" }).waitFor();
  assert.match(await page.locator(".url").innerText(), /^DELETE\s+https:\/\/api\.example\.com\/v1/);
});

browserTest(
  "A note, a number of uses and a date go with an approval, and the log has them",
  async () => {
    await using at = await desk();
    const process = await at.runtime.spawn(writer, { goal: "./out/a.md", grants: GRANTS });
    const page = await at.open("/approvals", { role: "approver" });
    await page.locator("[name=scope][value=process]").check();
    await page.getByLabel("Pattern of resources").fill("./out/*.md");
    await page.getByRole("radio", { name: "until…" }).check();
    const day = 86_400_000;
    const until = new Date(Date.now() + 2 * day);
    const local = new Date(until.getTime() - until.getTimezoneOffset() * 60_000);
    await page.getByRole("textbox", { name: "Until" }).fill(local.toISOString().slice(0, 16));
    await page.getByLabel("uses").fill("none");
    await page.getByText("Uses are a number from 1").waitFor();
    await page.getByLabel("uses").fill("2");
    await page.getByLabel("Note, which the log keeps").fill("asked on the phone");
    await button(page, "Approve for process…").click();
    await page.getByText("2 times at most").waitFor();
    await button(page, "Yes, approve all of that").click();
    assert.equal((await process.wait()).result, "written");
    const lines = await Array.fromAsync(at.runtime.log("t_1"));
    const answered = lines.find(({ type }) => type === "human.answered")!;
    const { answer } = answered.data as unknown as { answer: Record<string, unknown> };
    assert.equal(answer["note"], "asked on the phone");
    assert.equal(answer["uses"], 2);
    assert(Math.abs(Number(answer["forMs"]) - 2 * day) < 300_000, JSON.stringify(answer));
  },
);

browserTest("Deny & stop refuses the call and ends who asked, with the reason", async () => {
  await using at = await desk();
  const process = await at.runtime.spawn(writer, { goal: "./out/a.md", grants: GRANTS });
  const page = await at.open("/approvals", { role: "approver" });
  await button(page, "Deny & stop…").click();
  await page.locator("textarea:focus").fill("This is not your task");
  await button(page, "Deny and stop it").click();
  await done(page);
  const { outcome, ok } = await process.wait();
  assert.equal(ok, false);
  assert.match(JSON.stringify(outcome), /This is not your task/);
});

browserTest("An answer that comes too late is told so, and changes nothing", async () => {
  // Its time goes on when the test says so: no machine is too slow for it.
  const clock = new VirtualClock(Date.now());
  await using at = await consolePlace({ runtime: { clock }, serve: { clock } });
  const asker = defineImage({
    name: "asker",
    program: async ({ sys }) => {
      const result = await sys.human.ask({ prompt: "Now?", expiresMs: 3_600_000 }).then(
        () => "answered",
        ({ code }) => code,
      );
      await sys.message.receive({});
      await sys.process.exit({ result });
    },
  });
  const process = await at.runtime.spawn(asker, { goal: "Ask", grants: [allow("human.ask")] });
  const page = await at.open("/approvals", { role: "approver" });
  await page.getByLabel("Answer").fill("yes");
  // The page hears of nothing any more, and the answer is on its way until it is too late.
  const expired = Promise.withResolvers<void>();
  at.runtime.node.listen((_, lines) => {
    if (lines.some(({ type }) => type === "human.expired")) expired.resolve();
  });
  await page.route(/decision$/, async (route) => {
    await clock.advance(3_600_000);
    await expired.promise;
    await route.continue();
  });
  const [answered] = await Promise.all([
    page.waitForResponse(/decision$/),
    button(page, "Answer").click(),
  ]);
  assert.equal(answered.status(), 410);
  await page.getByText("nobody answered in time, which was a no").first().waitFor();
  await process.send("go on");
  assert.equal((await process.wait()).result, "EEXPIRED");
});
