/**
 * A process with a long past in a browser: what is drawn is bounded, and earlier bars come when they
 * are asked for, each once and in order, with what was looked at where it was.
 * @module
 */

import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { defineImage, type Runtime } from "../mod.ts";
import { barriers, browserTest, consolePlace } from "./console_place.ts";

/** Calls of one process; each is a line of its log. */
const MANY = 100_000;
/** Calls of another: its timeline has two pages. */
const FEW = 700;
const CALLS_A_STEP = 4_000;
/** Bars of a page of a timeline. */
const PAGE = 500;
/** Elements that a page of the console has at most, however long the past is. */
const ELEMENTS_MAX = 1_500;

/** Does as many calls as it is told to, and waits. */
const busy = defineImage({
  name: "busy",
  program: async ({ sys, step, input }) => {
    const left = (input as { readonly calls: number }).calls - (step - 1) * CALLS_A_STEP;
    if (left <= 0) return void await sys.message.receive({});
    for (let i = 0; i < Math.min(left, CALLS_A_STEP); i++) await sys.clock.now({});
  },
});

/** Lines of calls of a process, in order. */
async function callsOf(os: Runtime): Promise<number[]> {
  const lines = await Array.fromAsync(os.log("t_1"));
  return lines.filter(({ type }) => type === "call.done").map(({ seq }) => seq);
}

async function assertBounded(page: Page): Promise<void> {
  const count = Number(await page.evaluate(`document.querySelectorAll("*").length`));
  assert(count < ELEMENTS_MAX, `${page.url()}: ${count} elements`);
}

/**
 * Claims that the bars that are drawn are a stretch of `all` without a hole, and that nothing else
 * is but what Tab leads to; comes back with the stretch.
 */
async function stretchOf(page: Page, all: readonly number[]): Promise<readonly number[]> {
  await assertBounded(page);
  const here = Number(await page.locator('svg [tabindex="0"]').getAttribute("data-seq"));
  const drawn = await page.evaluate(
    `[...document.querySelectorAll("svg [data-seq]")].map(({ dataset }) => Number(dataset.seq))`,
  ) as number[];
  const others = drawn.filter((seq) => seq !== here);
  let [from, to] = [all.indexOf(others[0]!), all.indexOf(others.at(-1)!)];
  if (all.indexOf(here) === from - 1) from--;
  if (all.indexOf(here) === to + 1) to++;
  const stretch = all.slice(from, to + 1);
  assert.deepEqual(others, stretch.filter((seq) => seq !== here));
  assert(stretch.length > 10);
  return stretch;
}

/** Where a bar is, with or without the focus around it. */
async function middleOf(mark: Locator): Promise<number> {
  const { x, width } = (await mark.boundingBox())!;
  return x + width / 2;
}

/**
 * Waits until a bar has the focus, and the one beside it is there: what can be seen is drawn a frame
 * after it was scrolled to.
 */
async function arrived(page: Page, seq: number, beside: number): Promise<void> {
  await page.locator(`svg [data-seq="${seq}"]:focus`).waitFor();
  await page.locator(`svg [data-seq="${beside}"]`).waitFor();
}

/** Goes to the first bar that was read, by keyboard. */
async function goHome(page: Page, all: readonly number[], seq: number): Promise<void> {
  await page.locator('svg [tabindex="0"]').focus();
  await page.keyboard.press("Home");
  await arrived(page, seq, all[all.indexOf(seq) + 1]!);
}

browserTest(
  "Of a hundred thousand calls those are drawn that can be seen; earlier ones come page by page",
  async () => {
    await using at = await consolePlace();
    await at.runtime.spawn(busy, { goal: "Work for long", input: { calls: MANY } });
    await at.runtime.runUntilIdle();
    const all = await callsOf(at.runtime);
    assert.equal(all.length, MANY);
    const page = await at.open("/");
    // A stream that is joined has all read anew, whenever that is: here reads are counted.
    await page.route(/\/v1\/events/, () => {});
    await page.goto(`${at.server.url}/p/p_1`);
    const reads: string[] = [];
    await page.locator("svg [data-seq]").first().waitFor();
    page.on("request", (request) => {
      const { pathname, search } = new URL(request.url());
      if (pathname.endsWith("/timeline")) reads.push(search);
    });
    assert.equal((await stretchOf(page, all)).at(-1), all.at(-1));
    const earlier = page.getByRole("button", { name: "Earlier ones" });
    for (let pages = 1; pages < 4; pages++) {
      const first = all.at(-PAGE * pages)!;
      await goHome(page, all, first);
      assert.equal((await stretchOf(page, all))[0], first);
      const mark = page.locator(`svg [data-seq="${first}"]`);
      const before = await middleOf(mark);
      await earlier.click();
      // What was looked at is where it was, and there is more at its left.
      await page.locator(`svg [data-seq="${all.at(-PAGE * pages - 1)}"]`).waitFor();
      assert(Math.abs(await middleOf(mark) - before) < 1);
      assert.equal(reads.length, pages, "A page more is read by itself");
      await mark.focus();
      await page.keyboard.press("ArrowLeft");
      await page.locator(`svg [data-seq="${all.at(-PAGE * pages - 1)}"]:focus`).waitFor();
    }
    assert.equal(new Set(reads).size, reads.length);
    await page.keyboard.press("End");
    await arrived(page, all.at(-1)!, all.at(-2)!);
    assert.equal((await stretchOf(page, all)).at(-1), all.at(-1));

    await page.locator(".tabs").getByRole("link", { name: "Raw events" }).click();
    const rows = page.locator("tbody td:first-child button");
    await page.getByLabel("From line").fill("50000");
    await rows.first().getByText("50000", { exact: true }).waitFor();
    const shown = (await rows.allInnerTexts()).map(Number);
    assert.deepEqual(shown, shown.map((_, i) => 50_000 + i));
    await assertBounded(page);
    await page.getByRole("button", { name: "Latest" }).click();
    const last = (await Array.fromAsync(at.runtime.log("t_1"))).at(-1)!.seq;
    await rows.last().getByText(String(last), { exact: true }).waitFor();
    await assertBounded(page);
  },
);

browserTest("A timeline whose first bar is there has none earlier", async () => {
  await using at = await consolePlace();
  await at.runtime.spawn(busy, { goal: "Work", input: { calls: FEW } });
  await at.runtime.runUntilIdle();
  const all = await callsOf(at.runtime);
  const page = await at.open("/p/p_1");
  await goHome(page, all, all.at(-PAGE)!);
  const earlier = page.getByRole("button", { name: "Earlier ones" });
  await earlier.focus();
  await page.keyboard.press("Enter");
  await earlier.waitFor({ state: "detached" });
  await goHome(page, all, all[0]!);
  assert.equal((await stretchOf(page, all))[0], all[0]);
  assert.deepEqual(await barriers(page), []);
});

browserTest(
  "Earlier bars are asked for while the list is read anew: the press counts once, the focus stays",
  async () => {
    await using at = await consolePlace();
    const process = await at.runtime.spawn(busy, { goal: "Work", input: { calls: FEW } });
    await at.runtime.runUntilIdle();
    const all = await callsOf(at.runtime);
    const page = await at.open("/p/p_1");
    await page.locator(`svg [data-seq="${all.at(-1)}"]`).waitFor();
    const isRead = Promise.withResolvers<void>();
    const goesOn = Promise.withResolvers<void>();
    await page.route(({ pathname }) => pathname.endsWith("/timeline"), async (route) => {
      isRead.resolve();
      await goesOn.promise;
      await route.continue().catch(() => {});
    });
    await process.send({ text: "Something happens" });
    await at.runtime.runUntilIdle();
    await isRead.promise;
    const earlier = page.getByRole("button", { name: "Earlier ones" });
    await earlier.focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    assert(await earlier.evaluate((button) => button === button.ownerDocument.activeElement));
    goesOn.resolve();
    await earlier.waitFor({ state: "detached" });
    await goHome(page, all, all[0]!);
    assert.equal((await stretchOf(page, all))[0], all[0]);
  },
);
