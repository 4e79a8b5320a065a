/**
 * The page of one process in a browser: its timeline, what it says as it says it, messages to it.
 * @module
 */

import assert from "node:assert/strict";
import { allow } from "../mod.ts";
import { EVIL, family, IMAGES, listener, notes, SlowModel, talker } from "./console_agents.ts";
import { assertSound, barriers, browserTest, consolePlace } from "./console_place.ts";

const place = async () =>
  await consolePlace({
    runtime: { workspace: await notes(), images: IMAGES },
    serve: { images: IMAGES },
  });

browserTest(
  "A process's page shows what it waits for, whose child it is, and each of its parts",
  async () => {
    await using at = await place();
    await family(at.runtime, EVIL);
    const page = await at.open("/p/p_1.2");
    await page.getByText("It waits for a person:").waitFor();
    await page.getByRole("navigation", { name: "Lineage" }).getByRole("link").waitFor();
    assert.equal(
      await page.getByRole("navigation", { name: "Lineage" }).innerText(),
      "p_1 › p_1.2",
    );
    assert.equal(
      await page.locator("main a", { hasText: "req_1.1" }).getAttribute("href"),
      "/approvals/req_1.1",
    );
    await page.locator(".mark[data-seq]").first().waitFor();
    await assertSound(page, "process");
    await page.getByRole("link", { name: "p_1", exact: true }).click();
    await page.getByText("<img src=x").waitFor();
    for (
      const [name, text] of [
        ["Conversation", "Nothing was said"],
        ["Capabilities", "file.read"],
        ["Objects", "It has made no object"],
        ["Tools", "Of its image"],
        ["Checkpoints", "before ask"],
        ["Raw events", "coordinator"],
      ] as const
    ) {
      await page.locator(".tabs").getByRole("link", { name, exact: true }).click();
      await page.locator("main").getByText(text).first().waitFor();
      assert.deepEqual(await barriers(page), [], name);
    }
    assert.equal(await page.evaluate("window.evil"), undefined);
  },
);

browserTest(
  "A timeline's bars are reached by keyboard, and each tells why it was let through or not",
  async () => {
    await using at = await place();
    await family(at.runtime);
    const page = await at.open("/p/p_1.1");
    const last = page.getByRole("button", { name: /object.create .* allowed/ });
    await last.focus();
    await page.keyboard.press("ArrowLeft");
    const denied = page.getByRole("button", { name: /file.read .*\.env, denied/ });
    await denied.and(page.locator(":focus")).waitFor();
    await page.keyboard.press("Enter");
    const panel = page.getByRole("complementary");
    await panel.getByText("deny file.read(./**/.env)").first().waitFor();
    await panel.getByText('"path": "./notes/.env"').waitFor();
    assert.deepEqual(await barriers(page), []);
    await page.keyboard.press("Escape");
    await panel.waitFor({ state: "detached" });
    await denied.and(page.locator(":focus")).waitFor();
  },
);

browserTest(
  "What a model writes is on the page as it is written, and once when it is over",
  async () => {
    await using at = await place();
    const model = new SlowModel();
    const { pid } = await at.runtime.spawn(talker(model), {
      goal: "What is on Monday?",
      grants: [allow("file.read", "./notes/**")],
    });
    const write = await model.begun();
    const page = await at.open(`/p/${pid}?tab=conversation`);
    await page.getByText("I look first.").waitFor();
    await page.locator(".live.live").waitFor();
    write("Two meetings ");
    await page.locator(".writing", { hasText: "Two meetings" }).waitFor();
    write("on Mon\u202eday.");
    await page.locator(".writing", { hasText: "on Mon\\u{202e}day." }).waitFor();
    assert.deepEqual(await barriers(page), []);
    model.end();
    await page.locator(".badge", { hasText: "exited 0" }).waitFor();
    await page.locator(".turn.assistant:not(.writing)", { hasText: "Two meetings on Monday." })
      .waitFor();
  },
);

browserTest(
  "A message that is written stays while things happen, and reaches the process",
  async () => {
    await using at = await place();
    const process = await at.runtime.spawn(listener, { goal: "Listen" });
    await at.runtime.runUntilIdle();
    const page = await at.open(`/p/${process.pid}?tab=conversation`);
    const field = page.getByLabel(`Message to ${process.pid}`);
    await field.fill("Hello there");
    await process.signal("pause");
    await page.locator("h1 ~ .badge", { hasText: "paused" }).waitFor();
    assert.equal(await field.inputValue(), "Hello there");
    await process.signal("resume");
    await field.press("Control+Enter");
    await page.locator(".badge", { hasText: "exited 0" }).waitFor();
    assert.equal((await process.wait()).ok, true);
  },
);
