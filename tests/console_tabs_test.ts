/**
 * Many tabs of one browser: they share one stream, and whoever holds it hands it over.
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { IMAGES, listener, notes } from "./console_agents.ts";
import { browserTest, type ConsolePlace, consolePlace } from "./console_place.ts";

const TABS = 8;

const place = async () =>
  await consolePlace({
    runtime: { workspace: await notes(), images: IMAGES },
    serve: { images: IMAGES },
  });

/** Opens tabs of one browser, all signed in; with the requests for streams, as they are made. */
async function tabs(at: ConsolePlace, path: string): Promise<{
  readonly pages: readonly Page[];
  readonly streams: readonly { readonly page: Page; readonly url: string }[];
}> {
  const first = await at.open(path);
  // Its stream was asked for before it could be joined.
  await first.locator(".live.live").waitFor();
  const streams: { page: Page; url: string }[] = [{ page: first, url: "" }];
  first.context().on("request", (request) => {
    if (!new URL(request.url()).pathname.endsWith("/v1/events")) return;
    streams.push({ page: request.frame().page(), url: request.url() });
  });
  const others: Page[] = [];
  for (let i = 1; i < TABS; i++) {
    const page = await first.context().newPage();
    await page.goto(`${at.server.url}${path}`);
    await page.locator(".live.live").waitFor();
    others.push(page);
  }
  return { pages: [first, ...others], streams };
}

const shows = async (pages: readonly Page[], pid: string): Promise<void> => {
  await Promise.all(pages.map((page) => page.locator("tbody").getByText(pid).waitFor()));
};

browserTest("Eight tabs have one stream, and each shows what happens", async () => {
  await using at = await place();
  const { pages, streams } = await tabs(at, "/view/processes");
  assert.equal(streams.length, 1);
  const { pid } = await at.runtime.spawn(listener, { goal: "Listen" });
  await shows(pages, pid);
  assert.equal(streams.length, 1);
});

browserTest(
  "When the tab with the stream is closed another goes on where it was, and nothing is lost",
  async () => {
    await using at = await place();
    const { pages, streams } = await tabs(at, "/view/processes");
    const before = await at.runtime.spawn(listener, { goal: "Before" });
    await shows(pages, before.pid);
    const held = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<string>();
    await pages[0]!.context().route(/\/v1\/events/, async (route) => {
      asked.resolve(route.request().url());
      await held.promise;
      await route.continue();
    });
    await pages[0]!.close();
    const since = new URL(await asked.promise).searchParams.get("since");
    assert.match(since ?? "", /^[0-9a-f]{8}-\d+$/);
    // Nobody hears of this when it happens.
    const missed = await at.runtime.spawn(listener, { goal: "Meanwhile" });
    await at.runtime.runUntilIdle();
    held.resolve();
    await shows(pages.slice(1), missed.pid);
    const after = await at.runtime.spawn(listener, { goal: "After" });
    await shows(pages.slice(1), after.pid);
    assert.equal(streams.length, 2);
  },
);

browserTest("Tabs of different sessions do not hear of each other's streams", async () => {
  await using at = await place();
  const one = await at.open("/view/processes");
  const two = await at.open("/view/processes", { role: "viewer" });
  const { pid } = await at.runtime.spawn(listener, { goal: "Listen" });
  await shows([one, two], pid);
  await one.close();
  const next = await at.runtime.spawn(listener, { goal: "Listen" });
  await shows([two], next.pid);
});
