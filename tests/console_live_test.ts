/**
 * The console when its server goes away and comes back, and how it is led through by keyboard.
 * @module
 */

import assert from "node:assert/strict";
import { EVIL, IMAGES, listener, notes } from "./console_agents.ts";
import { barriers, browserTest, consolePlace, focusOn, pressAll } from "./console_place.ts";

const place = async () =>
  await consolePlace({
    runtime: { workspace: await notes(), images: IMAGES },
    serve: { images: IMAGES },
  });

browserTest(
  "A page says when its server went away, and goes on by itself when one is back",
  async () => {
    await using at = await place();
    const first = await at.runtime.spawn(listener, { goal: "Before" });
    const page = await at.open("/view/processes?all=true");
    await page.locator("tbody").getByText(first.pid).waitFor();
    await page.locator(".live.live").waitFor();
    await page.evaluate("window.same = true");
    await at.stop();
    await page.getByText(/connection lost at \d\d:\d\d:\d\d/).waitFor();
    // What happens while nobody tells of it is there afterwards, too.
    const missed = await at.runtime.spawn(listener, { goal: "Meanwhile" });
    await first.send("end");
    await first.wait();
    at.start();
    await page.locator(".live.live").waitFor();
    await page.locator("tbody").getByText(missed.pid).waitFor();
    await page.locator(".badge", { hasText: "exited 0" }).waitFor();
    const after = await at.runtime.spawn(listener, { goal: "After" });
    await page.locator("tbody").getByText(after.pid).waitFor();
    assert.equal(await page.evaluate("window.same"), true);
  },
);

browserTest("Who was signed out is told so, and what to do", async () => {
  await using at = await place();
  const page = await at.open("/");
  await page.locator(".live.live").waitFor();
  at.server.tokens.revoke(at.server.tokens.list()[0]!.id);
  await at.stop();
  at.start();
  await page.getByText("signed out").waitFor();
});

browserTest(
  "Keys lead to pages, through lists, into a filter, and none of them while one writes",
  async () => {
    await using at = await place();
    for (const goal of ["one", "two", EVIL]) await at.runtime.spawn(listener, { goal });
    await at.runtime.runUntilIdle();
    const page = await at.open("/");
    await pressAll(page, "g p");
    await page.locator("tbody tr").nth(2).waitFor();
    // What was gone to is read out.
    await focusOn(page, "Processes");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await focusOn(page, "p_2");
    await page.keyboard.press("k");
    await focusOn(page, "p_1");
    await page.keyboard.press("/");
    await page.locator("[data-filter]:focus").waitFor();
    await page.keyboard.type("two gp?j");
    assert.equal(await page.getByLabel("Find").inputValue(), "two gp?j");
    assert.equal(await page.locator("dialog").count(), 0);
    await page.getByLabel("Find").fill("two");
    await page.locator("tbody tr").nth(1).waitFor({ state: "detached" });
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await focusOn(page, "p_2");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/p/p_2");
    await page.getByRole("heading", { name: "p_2" }).waitFor();
  },
);

browserTest("Help and the palette open by keys, hold the focus, and give it back", async () => {
  await using at = await place();
  await at.runtime.spawn(listener, { goal: "Count the geese" });
  const page = await at.open("/view/processes");
  await page.locator("tbody a").focus();
  await page.keyboard.press("?");
  const dialog = page.getByRole("dialog");
  await dialog.getByText("next and previous of a list").waitFor();
  assert.deepEqual(await barriers(page), []);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await focusOn(page, "p_1");
  await page.keyboard.press("Control+k");
  await dialog.getByRole("combobox").fill("geese");
  await page.getByRole("option", { name: /p_1 .*geese/ }).waitFor();
  assert.deepEqual(await barriers(page), []);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/p/p_1");
});
