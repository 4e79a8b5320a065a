/**
 * What somebody does in the console while something is under way: no press is lost or counts twice,
 * the focus stays where it was, and so does what is written.
 * @module
 */

/// <reference lib="dom" />

import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { IMAGES, listener } from "./console_agents.ts";
import { browserTest, consolePlace, focusOn, pressAll } from "./console_place.ts";

/** Holds back what a page asks of a path, until it is let go; counts it. */
async function held(page: Page, path: RegExp) {
  const asked = Promise.withResolvers<void>();
  const goesOn = Promise.withResolvers<void>();
  const seen = { count: 0, asked: asked.promise, go: goesOn.resolve };
  await page.route(path, async (route) => {
    seen.count += 1;
    asked.resolve();
    await goesOn.promise;
    await route.continue();
  });
  return seen;
}

const hasFocus = (one: Locator) =>
  one.evaluate((element) => element === element.ownerDocument.activeElement);

/** Two frames: a button that is disabled has lost the focus by then. */
const FRAMES = "new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)))";

browserTest("What is pressed is done once, and has the focus while it is done", async () => {
  await using at = await consolePlace();
  const page = await at.open("/view/audit");
  const verified = await held(page, /audit\/verify$/);
  const verify = page.locator(".head button");
  await verify.focus();
  await page.keyboard.press("Enter");
  await verified.asked;
  await page.keyboard.press("Enter");
  assert.equal(await verify.getAttribute("aria-disabled"), "true");
  await page.evaluate(FRAMES);
  assert(await hasFocus(verify));
  verified.go();
  await page.getByText("every chain holds").waitFor();
  assert(await hasFocus(verify));
  assert.equal(verified.count, 1);

  await page.goto(`${at.server.url}/view/tokens`);
  await page.getByLabel("Name").fill("ada");
  const made = await held(page, /\/v1\/tokens$/);
  const make = page.locator("form button[type=submit]");
  await make.focus();
  await page.keyboard.press("Enter");
  await made.asked;
  await page.keyboard.press("Enter");
  await page.evaluate(FRAMES);
  assert(await hasFocus(make));
  made.go();
  await page.getByRole("dialog").getByText("It is shown this once").waitFor();
  assert.deepEqual(at.server.tokens.list().map(({ name }) => name), ["admin", "ada"]);
});

browserTest("Two keys lead to a page, though it hears late of the second", async () => {
  await using at = await consolePlace();
  const page = await at.open("/");
  // Longer than somebody may take between the two.
  await page.evaluate(`document.addEventListener("keydown", ({ key }) => {
    const until = performance.now() + 2_000;
    while (key === "g" && performance.now() < until);
  })`);
  await pressAll(page, "g p");
  await focusOn(page, "Processes");
});

browserTest("What is written while a message is on its way stays", async () => {
  await using at = await consolePlace({ runtime: { images: IMAGES } });
  const process = await at.runtime.spawn(listener, { goal: "Listen" });
  await at.runtime.runUntilIdle();
  await process.signal("pause");
  const page = await at.open(`/p/${process.pid}?tab=conversation`);
  const sent = await held(page, /\/messages$/);
  const field = page.getByLabel(`Message to ${process.pid}`);
  await field.fill("Hello");
  await field.press("Control+Enter");
  await sent.asked;
  await field.fill("Hello again");
  sent.go();
  await page.getByRole("status").getByText("Sent").waitFor();
  assert.equal(await field.inputValue(), "Hello again");
});

browserTest("A step that is taken while the last one is drawn is taken", async () => {
  await using at = await consolePlace({ runtime: { images: IMAGES } });
  await at.runtime.spawn(listener, { goal: "Listen" });
  await at.runtime.runUntilIdle();
  const page = await at.open("/view/audit?tree=t_1&line=3");
  await page.getByRole("heading", { name: "State at line 3" }).waitFor();
  // As soon as line 2 stands there, and before anything else can happen.
  await page.evaluate(`new Promise((done) => {
    const heading = document.querySelector("#replay");
    const [back, on] = document.querySelectorAll(".scrubber button");
    new MutationObserver((_, observer) => {
      if (!heading.textContent.endsWith("line 2")) return;
      observer.disconnect();
      on.click();
      done();
    }).observe(heading, { subtree: true, childList: true, characterData: true });
    back.click();
  })`);
  await page.getByRole("heading", { name: "State at line 3" }).waitFor();
  assert.equal(new URL(page.url()).searchParams.get("line"), "3");
});
