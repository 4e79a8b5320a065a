/**
 * The console in a browser: who is let in, and what every page holds.
 * @module
 */

import assert from "node:assert/strict";
import { assertSound, browserTest, consolePlace } from "./console_place.ts";

browserTest("The overview opens for who is signed in, for everybody's eyes", async () => {
  await using at = await consolePlace();
  const page = await at.open("/");
  await page.getByText("Waiting on you").waitFor();
  assert.equal(await page.title(), "Overview · Agent libOS");
  await page.locator(".live.live").waitFor();
  await assertSound(page, "overview");
});
