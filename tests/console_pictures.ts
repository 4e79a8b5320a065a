/**
 * Takes the pictures of `docs/pictures`: `deno task console:pictures [FOLDER]`.
 * @module
 */

import { join } from "node:path";
import type { Page } from "playwright-core";
import { type ConsolePlace, consolePlace, endBrowser } from "./console_place.ts";
import { withPalette } from "./console_png.ts";
import { firstLife, play, STAGE_IMAGES, stageOptions } from "./console_stage.ts";

/** A picture: its name, where it is taken, and what has to be done or waited for before. */
interface Shot {
  readonly name: string;
  readonly path: string;
  readonly ready: (page: Page) => Promise<unknown>;
  /** Whether there is one of a narrow window in the dark, too. */
  readonly isNarrow?: boolean;
}

const sees = (text: string | RegExp) => (page: Page) =>
  page.getByText(text).filter({ visible: true }).first().waitFor();

async function request(page: Page, kind: string): Promise<void> {
  await page.getByLabel("Kind", { exact: true }).selectOption(kind);
  await page.locator(".requests a").first().click();
  await page.locator(".card header .badge", { hasText: kind }).waitFor();
}

const SHOTS: readonly Shot[] = [
  {
    name: "overview",
    path: "/",
    ready: (page) => page.locator("nav .count", { hasText: "7" }).waitFor(),
    isNarrow: true,
  },
  { name: "processes", path: "/view/processes?all=true", ready: sees("p_8"), isNarrow: true },
  {
    name: "process-timeline",
    path: "/p/p_1",
    ready: async (page) => {
      await page.locator(".mark[data-seq][aria-label*='file.write']").last().click();
      await page.getByRole("complementary").locator("pre").first().waitFor();
    },
    isNarrow: true,
  },
  { name: "process-conversation", path: "/p/p_10?tab=conversation", ready: sees("I look first.") },
  { name: "process-capabilities", path: "/p/p_4?tab=capabilities", ready: sees("file.read") },
  { name: "process-objects", path: "/p/p_5?tab=objects", ready: sees("report") },
  { name: "process-tools", path: "/p/p_3?tab=tools", ready: sees("csv_sum") },
  { name: "process-checkpoints", path: "/p/p_5?tab=checkpoints", ready: sees("before the report") },
  { name: "process-lines", path: "/p/p_5?tab=lines", ready: sees("reporter") },
  {
    name: "approvals",
    path: "/approvals/req_5.1",
    ready: sees("Others like it"),
    isNarrow: true,
  },
  { name: "approvals-review", path: "/approvals", ready: (page) => request(page, "review") },
  { name: "approvals-doubt", path: "/approvals", ready: (page) => request(page, "doubt") },
  { name: "approvals-budget", path: "/approvals", ready: (page) => request(page, "budget") },
  { name: "approvals-question", path: "/approvals", ready: (page) => request(page, "question") },
  { name: "approvals-address", path: "/approvals/req_6.1", ready: sees("Others like it") },
  { name: "decided", path: "/approvals/decided", ready: sees("by ada") },
  { name: "capabilities", path: "/view/capabilities?as=tree&tree=t_4", ready: sees("held by") },
  { name: "objects", path: "/view/objects", ready: sees("p_5/report") },
  {
    name: "object",
    path: "/view/objects",
    ready: async (page) => {
      await page.getByRole("link", { name: "p_5/report" }).click();
      for (const version of [1, 2]) {
        await page.getByRole("button", { name: `Reveal version ${version}` }).click();
      }
      await page.getByRole("region", { name: "From version 1 to 2" }).waitFor();
    },
  },
  { name: "tools", path: "/view/tools", ready: sees("csv_sum") },
  {
    name: "tool",
    path: "/view/tools",
    ready: async (page) => {
      await page.locator("tbody a[href^='/view/tools/']").last().click();
      await page.getByRole("region", { name: "Source of csv_sum" }).waitFor();
    },
  },
  { name: "images", path: "/view/images", ready: sees("coordinator@1") },
  {
    name: "checkpoints",
    path: "/view/checkpoints?tree=t_3",
    ready: async (page) => {
      await page.getByRole("button", { name: /Roll back to/ }).last().click();
      await page.getByRole("dialog").getByText("Roll back").first().waitFor();
    },
    isNarrow: true,
  },
  {
    name: "audit",
    path: "/view/audit?tree=t_1&line=9",
    ready: async (page) => {
      await page.getByRole("button", { name: "Verify" }).click();
      await page.locator(".badge", { hasText: "chains hold" }).waitFor();
      await page.getByText("Processes: ").waitFor();
    },
    isNarrow: true,
  },
  { name: "budgets", path: "/view/budgets", ready: sees("Nearest limit") },
  { name: "effects", path: "/view/effects", ready: sees("Answer req_2.1") },
  { name: "tokens", path: "/view/tokens", ready: sees("Make a token") },
];

async function take(at: ConsolePlace, wide: Page, folder: string): Promise<void> {
  const narrow = await at.open("/", { width: 360, height: 740, dark: true });
  for (const shot of SHOTS) {
    const { name, path, ready, isNarrow = false } = shot;
    for (const [page, suffix] of [[wide, "1200-light"], [narrow, "360-dark"]] as const) {
      if (page === narrow && !isNarrow) continue;
      // The first one is open already: it shows what it heard.
      if (page === narrow || shot !== SHOTS[0]) await page.goto(`${at.server.url}${path}`);
      await ready(page);
      await page.locator(".live.live").waitFor();
      await page.waitForLoadState("load");
      const png = withPalette(await page.screenshot());
      await Deno.writeFile(join(folder, `${name}-${suffix}.png`), png);
      console.log(`${name}-${suffix}`, png.length);
    }
  }
}

if (import.meta.main) {
  const [folder = new URL("../docs/pictures", import.meta.url).pathname] = Deno.args;
  const life = await firstLife();
  await using at = await consolePlace({
    runtime: stageOptions(life),
    serve: { images: STAGE_IMAGES },
  });
  const wide = await at.open("/");
  const { model } = await play(at.runtime);
  await take(at, wide, folder);
  model.end();
  await endBrowser();
}
