/**
 * A server that takes long to answer while much happens: pages show how things go on nevertheless.
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { type AgentProcess, defineImage } from "../mod.ts";
import { browserTest, consolePlace } from "./console_place.ts";

/** How long an answer takes: longer than pages wait before they read again. */
const ANSWER_MS = 700;
/** How often something happens. */
const HAPPENS_MS = 20;
/** How many answers have to be seen while it does. */
const SEEN = 3;

/** Takes a step for each message. */
const echo = defineImage({
  name: "echo",
  program: async ({ sys }) => void await sys.message.receive({}),
});

/** What the page of a process reads, and what is greater in it after each step. */
const READ = {
  "/v1/processes/p_1": `+document.querySelector(".facts").innerText.match(/Step\\s+(\\d+)/)[1]`,
  "/v1/processes/p_1/timeline":
    `Math.max(...[...document.querySelectorAll("svg [data-seq]")].map((bar) => +bar.dataset.seq))`,
};

/** Makes something happen all the time, until it is disposed. */
function bustle(process: AgentProcess): AsyncDisposable {
  let isOver = false;
  const run = (async () => {
    while (!isOver) {
      await process.send("go on");
      await new Promise((next) => setTimeout(next, HAPPENS_MS));
    }
  })();
  return {
    [Symbol.asyncDispose]: () => {
      isOver = true;
      return run;
    },
  };
}

/** Comes back with an amount of a page when it is greater. */
async function greater(page: Page, amount: string, last: number): Promise<number> {
  return Number(
    await page.evaluate(`new Promise((seen, fail) => {
    const begun = performance.now();
    const look = () => {
      if ((${amount}) > ${last}) return seen(${amount});
      if (performance.now() - begun > 20_000) return fail(new Error("Nothing new was shown"));
      requestAnimationFrame(look);
    };
    look();
  })`),
  );
}

for (const [path, amount] of Object.entries(READ)) {
  browserTest(
    `What is read slowly is shown while much happens, and read once at a time: ${path}`,
    async () => {
      await using at = await consolePlace();
      const process = await at.runtime.spawn(echo, { goal: "Echo" });
      await process.send("begin");
      await at.runtime.runUntilIdle();
      const page = await at.open("/p/p_1");
      await page.locator("svg [data-seq]").first().waitFor();
      await page.locator(".live.live").waitFor();
      let open = 0;
      let most = 0;
      let cut = 0;
      page.on(
        "requestfailed",
        (request) => cut += Number(new URL(request.url()).pathname === path),
      );
      await page.route((url) => url.pathname === path, async (route) => {
        most = Math.max(most, ++open);
        const answer = await route.fetch();
        await new Promise((next) => setTimeout(next, ANSWER_MS));
        open--;
        await route.fulfill({ response: answer });
      });
      await using _all = bustle(process);
      const before = Number(await page.evaluate(amount));
      for (let last = before, i = 0; i < SEEN; i++) {
        last = await greater(page, amount, last);
      }
      assert.deepEqual({ cut, most }, { cut: 0, most: 1 });
      await page.unrouteAll({ behavior: "wait" });
    },
  );
}
