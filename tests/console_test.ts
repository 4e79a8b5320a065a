/**
 * The console in a browser: who is let in, and what every page holds.
 * @module
 */

import assert from "node:assert/strict";
import { ASSETS } from "../server/console_assets.ts";
import { assertSound, browserTest, consolePlace, titled } from "./console_place.ts";

Deno.test("Console: all of its files take less than 200 KB", () => {
  const bytes = Object.values(ASSETS).reduce((sum, { text }) => sum + text.length, 0);
  assert(bytes < 200_000, `${bytes} bytes`);
});

Deno.test("Pictures of the console are small, and each stands in a page", async () => {
  const docs = new URL("../docs/", import.meta.url);
  const pages = ["console.md", "approvals.md"].map((name) =>
    Deno.readTextFile(new URL(name, docs))
  );
  const text = (await Promise.all(pages)).join("");
  const named = [...text.matchAll(/\(pictures\/([\w-]+\.png)\)/g)].map(([, name]) => name!);
  const there = await Array.fromAsync(Deno.readDir(new URL("pictures", docs)), ({ name }) => name);
  assert.deepEqual([...new Set(named)].toSorted(), there.toSorted());
  for (const name of there) {
    const { size } = await Deno.stat(new URL(`pictures/${name}`, docs));
    assert(size < 120_000, `${name}: ${size} bytes`);
  }
});

browserTest("The overview opens for who is signed in, for everybody's eyes", async () => {
  await using at = await consolePlace();
  const page = await at.open("/");
  await page.getByText("Waiting on you").waitFor();
  await titled(page, "Overview · Agent libOS");
  await page.locator(".live.live").waitFor();
  await assertSound(page, "overview");
});
