/**
 * Content of objects in a browser: pictures, sound, video, actions, JSON and text are shown, and
 * nothing in them runs, is fetched, or becomes a page, however it is come by.
 * @module
 */

/// <reference lib="dom" />

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { defineImage } from "../mod.ts";
import type { Json } from "../kernel/json.ts";
import { mediaOf } from "../kernel/media.ts";
import {
  assertSound,
  barriers,
  browserTest,
  type ConsolePlace,
  consolePlace,
} from "./console_place.ts";
import { MP4, PDF, PNG, WAV } from "./media_samples.ts";

const EVIL_HTML = `<!doctype html><script>window.evil = 1</script><img src=x onerror="evil=2">`;
const EVIL_JS = "globalThis.evil = 3; globalThis.postMessage?.('evil');";
const EVIL_SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"
  xmlns:xlink="http://www.w3.org/1999/xlink" onload="window.evil=4; fetch('/v1/whoami')">
  <script>window.evil = 5; top.evil = 5;</script>
  <image href="/v1/whoami?from=svg" width="9" height="9"/>
  <use xlink:href="/icon.svg?from=svg#a"/>
  <style>@import url("/app.css?from=svg"); rect { fill: url(/icon.svg?from=svg) }</style>
  <foreignObject width="9" height="9"><body xmlns="http://www.w3.org/1999/xhtml">
    <iframe src="/v1/whoami?from=svg"/><img src="/x?from=svg" onerror="window.evil=6"/>
  </body></foreignObject>
  <a href="javascript:window.evil=7"><rect width="40" height="30" fill="green"/></a></svg>`;

/** A picture that says it has 60,000 by 60,000 pixels. */
function bomb(): Uint8Array {
  const bytes = PNG.slice();
  for (const at of [16, 20]) new DataView(bytes.buffer).setUint32(at, 60_000);
  return bytes;
}

const media = (bytes: Uint8Array): Json => ({ ...mediaOf(bytes)! }) as Json;
const OBJECTS: readonly (readonly [name: string, type: string, value: Json])[] = [
  ["dot", "image", media(PNG)],
  ["bell", "audio", media(WAV)],
  ["film", "video", media(MP4)],
  ["paper", "document", media(PDF)],
  ["bomb", "image", media(bomb())],
  ["svg", "text", EVIL_SVG],
  ["html", "text", EVIL_HTML],
  ["js", "text", EVIL_JS],
  ["long", "text", "w".repeat(200_001)],
  ["plan", "json", { steps: [EVIL_HTML, 2] }],
  ["moves", "actions", {
    actions: [{ action: "turn", args: { by: 90 }, atMs: 1_500 }, { action: EVIL_HTML }],
    durationMs: 3_000,
  }],
];

const keeper = defineImage({
  name: "keeper",
  program: async ({ sys, input }) => {
    for (const [name, type, value] of input as unknown as typeof OBJECTS) {
      await sys.object.create({ name, type, value });
    }
    await sys.message.receive({});
  },
});

/** A console over these objects, and their ids by name. */
async function gallery() {
  const at = await consolePlace();
  await at.runtime.spawn(keeper, { goal: "Keep", input: OBJECTS as unknown as Json });
  await at.runtime.runUntilIdle();
  const { state } = at.runtime.node.trees[0]!;
  const ids = new Map(Object.values(state.objects).map(({ id, name }) => [name.slice(4), id]));
  const path = (name: string) => `/v1/objects/${ids.get(name)}/versions/1/content`;
  const show = async (page: Page, name: string) => {
    await page.goto(`${at.server.url}/view/objects/${ids.get(name)}`);
    await page.getByRole("button", { name: "Reveal version 1" }).click();
    await page.getByRole("region", { name: "Version 1" }).getByRole("link", { name: "Download" })
      .waitFor();
  };
  return { at, path, show };
}

/** Nothing of what an agent wrote ran in the page. */
async function assertCalm(page: Page): Promise<void> {
  assert.equal(await page.evaluate("globalThis.evil"), undefined);
}

const drawn = (page: Page) =>
  page.evaluate(`new Promise((done) => {
  const look = () => {
    const image = document.querySelector("main img");
    if (image?.complete && image.naturalWidth > 0) done([image.naturalWidth, image.naturalHeight]);
    else requestAnimationFrame(look);
  };
  look();
})`);

browserTest(
  "Each kind of content is shown for what it is, with its type, measures and size",
  async () => {
    const { at, show } = await gallery();
    await using _ = at;
    const page = await at.open("/");
    const part = page.getByRole("region", { name: "Version 1", exact: true });
    await show(page, "dot");
    const { width, height, bytes } = mediaOf(PNG)!;
    await part.getByText(`image/png, ${width} × ${height} pixels, ${bytes} bytes`).waitFor();
    assert.deepEqual(await drawn(page), [width, height]);
    await assertSound(page, "object-image");
    await show(page, "bell");
    await part.getByText(/^audio\/wav, 250 ms/).waitFor();
    await page.waitForFunction("document.querySelector('main audio').duration > 0.2");
    assert.deepEqual(await barriers(page), []);
    await show(page, "paper");
    await part.getByText("Documents are not shown here").waitFor();
    await show(page, "moves");
    const rows = part.locator("tbody tr");
    assert.match(await rows.first().innerText(), /1\s+1s\s+turn\s+\{"by":90\}/);
    await assertSound(page, "object-actions");
    await show(page, "long");
    await part.getByText("These are the first 200.0k of 200.0k characters").waitFor();
    await show(page, "plan");
    await part.getByText('"steps"').waitFor();
    await assertCalm(page);
  },
);

browserTest(
  "A picture too large to draw waits for a word; what cannot be played says so",
  async () => {
    const { at, show } = await gallery();
    await using _ = at;
    const page = await at.open("/");
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await show(page, "bomb");
    await page.getByText("60000 × 60000 pixels").waitFor();
    const draw = page.getByRole("button", { name: "Draw it all the same" });
    await draw.waitFor();
    assert.deepEqual(asked.filter((url) => url.endsWith("/content")), []);
    await draw.focus();
    await page.keyboard.press("Enter");
    await page.getByText("This browser cannot show it").waitFor();
    const [piece] = await Promise.all([page.waitForResponse(/content$/), show(page, "film")]);
    assert.equal(piece.status(), 206, "video is read piece by piece");
    await page.getByText("video/mp4, 64 × 48 pixels, 1s")
      .first().waitFor();
    await page.getByText("This browser cannot show it").waitFor();
  },
);

browserTest(
  "An SVG is a picture only: no script of it runs, and nothing it names is fetched",
  async () => {
    const { at, show } = await gallery();
    await using _ = at;
    const page = await at.open("/");
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await show(page, "svg");
    assert.equal(await page.locator("main svg, main img").count(), 0, "it is text at first");
    const button = page.getByRole("button", { name: "Show as a picture" });
    await button.focus();
    await page.keyboard.press("Enter");
    assert.deepEqual(await drawn(page), [40, 30]);
    assert.deepEqual(await barriers(page), []);
    await assertCalm(page);
    assert.deepEqual(asked.filter((url) => url.includes("from=svg")), []);
  },
);

browserTest(
  "Going to content is a download; as a script, a worker or a style it is refused",
  async () => {
    const { at, path, show } = await gallery();
    await using _ = at;
    const page = await at.open("/");
    for (
      const [name, query, ending] of [
        ["html", "", "txt"],
        ["svg", "?as=svg", "svg"],
        ["dot", "", "png"],
        ["plan", "", "json"],
      ]
    ) {
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        // A page that is not gone to, since a file comes instead, is an error of the going.
        page.goto(`${at.server.url}${path(name!)}${query}`).catch(() => {}),
      ]);
      assert(download.suggestedFilename().endsWith(`@1.${ending}`), download.suggestedFilename());
      await download.cancel();
    }
    await show(page, "js");
    const tried = await page.evaluate(async (src: string) => {
      const said = (element: HTMLElement): Promise<string> =>
        new Promise((done) => {
          element.onload = () => done("loaded");
          element.onerror = () => done("refused");
          document.head.append(element);
        });
      const script = Object.assign(document.createElement("script"), { src });
      const module = Object.assign(document.createElement("script"), { src, type: "module" });
      const style = Object.assign(document.createElement("link"), { href: src, rel: "stylesheet" });
      const worker = new Promise((done) => {
        const made = new Worker(src);
        made.onmessage = () => done("ran");
        made.onerror = () => done("refused");
      });
      return await Promise.all([said(script), said(module), said(style), worker]);
    }, path("js")) as string[];
    assert.deepEqual(tried, ["refused", "refused", "refused", "refused"]);
    await assertCalm(page);
    forget(at, /MIME type|was blocked|Refused to/);
  },
);

/** Forgets what the page complained of because the test asked for what is refused. */
function forget(at: ConsolePlace, what: RegExp): void {
  assert(at.faults.length > 0, "the browser says what it refused");
  for (const fault of at.faults) assert.match(fault, what);
  at.faults.length = 0;
}
