/**
 * Signing out of the console: in every tab of the session, and in no other.
 * @module
 */

import assert from "node:assert/strict";
import { IMAGES, listener, notes } from "./console_agents.ts";
import { barriers, browserTest, consolePlace } from "./console_place.ts";

browserTest(
  "Signing out ends the session in each of its tabs, which show nothing of it any more",
  async () => {
    await using at = await consolePlace({
      runtime: { workspace: await notes(), images: IMAGES },
      serve: { images: IMAGES },
    });
    await at.runtime.spawn(listener, { goal: "Count the geese" });
    const page = await at.open("/");
    await page.goto(`${at.server.url}/view/processes`);
    const tab = await page.context().newPage();
    await tab.goto(`${at.server.url}/p/p_1`);
    const other = await at.open("/view/processes", { role: "viewer" });
    for (const each of [page, tab, other]) {
      await each.locator(".live.live").waitFor();
      await each.locator("main").getByText("Count the geese").first().waitFor();
    }
    const button = page.getByRole("button", { name: "Sign out" });
    await button.focus();
    await page.keyboard.press("Enter");
    for (const each of [page, tab]) {
      // A page that is left may say so, too, by its stream.
      await each.waitForURL(`${at.server.url}/`);
      await each.getByText("Open the link that").waitFor();
      assert.equal(await each.getByText("Count the geese").count(), 0);
      assert.equal(new URL(each.url()).pathname, "/");
      assert.deepEqual(await barriers(each), []);
    }
    // Going back shows what is known to nobody who is not signed in: nothing.
    await page.goBack();
    await page.getByText("Open the link that").waitFor();
    assert.equal(await page.getByText("Count the geese").count(), 0);
    const asked = await page.evaluate("fetch('/v1/processes').then(({ status }) => status)");
    assert.equal(asked, 401);
    const { pid } = await at.runtime.spawn(listener, { goal: "Go on" });
    await other.locator("tbody").getByText(pid).waitFor();
  },
);

browserTest("Who cannot be signed out is told why, and stays", async () => {
  await using at = await consolePlace();
  const page = await at.open("/");
  await page.locator(".live.live").waitFor();
  await at.stop();
  await page.getByText("connection lost").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.locator(".foot").getByRole("alert").getByText("The server is not there").waitFor();
  at.start();
  await page.locator(".live.live").waitFor();
});
