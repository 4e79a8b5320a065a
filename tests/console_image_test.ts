/**
 * Making an image of a process in a browser: by keyboard, with the tools that agents wrote.
 * @module
 */

import assert from "node:assert/strict";
import { archive, contentOptions, IMAGES } from "./console_content.ts";
import { assertSound, barriers, browserTest, consolePlace } from "./console_place.ts";

browserTest(
  "An image is made of a process on its page, by who may, and started on the page of images",
  async () => {
    await using at = await consolePlace({
      runtime: await contentOptions(),
      serve: { images: IMAGES },
    });
    await archive(at.runtime, "Keep the notes");
    const page = await at.open("/p/p_1");
    await page.getByRole("button", { name: "Make an image…" }).focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: "Make an image of p_1" });
    await dialog.getByLabel("Name").waitFor();
    const make = dialog.getByRole("button", { name: "Make it" });
    await dialog.getByLabel("Name").fill("Not A Name");
    assert(await make.isDisabled());
    await dialog.getByLabel("Name").fill("archivist");
    await assertSound(page, "process-image");
    // That name is taken, by another image.
    await page.keyboard.press("Enter");
    await dialog.getByRole("alert").waitFor();
    await dialog.getByLabel("Name").fill("keeper");
    await page.keyboard.press("Enter");
    const card = page.getByRole("region", { name: "keeper@1" });
    await card.getByText("by admin").waitFor();
    assert.equal(new URL(page.url()).pathname, "/view/images");
    await card.getByRole("link", { name: "count_rows" }).waitFor();
    assert.equal(await card.getByRole("link", { name: "p_1" }).getAttribute("href"), "/p/p_1");
    assert.deepEqual(await barriers(page), []);
    await card.getByRole("button", { name: "Start keeper@1" }).click();
    await page.getByLabel("Goal").fill("Keep more");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.waitForURL(/\/p\/p_/);
    await page.locator("main").getByText("keeper@1").first().waitFor();

    const viewer = await at.open("/p/p_1", { role: "viewer" });
    await viewer.getByText("Keep the notes").waitFor();
    assert.equal(await viewer.getByRole("button", { name: "Make an image…" }).count(), 0);
  },
);
