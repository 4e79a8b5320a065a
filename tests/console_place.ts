/**
 * The console in a real browser, for tests: a runtime, its server, Chromium, and somebody signed in.
 * @module
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import axe from "axe-core";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { createRuntime, type Runtime, type RuntimeOptions } from "../mod.ts";
import { memoryFile } from "../providers/private_file.ts";
import type { Role } from "../server/principal.ts";
import { serve, type Served, type ServeOptions } from "../server/mod.ts";
import { scratch } from "./scratch.ts";

const CHROMIUM = "/usr/bin/chromium";
const QUIET = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** How long a page may take on a machine that has much else to do. */
const PATIENCE_MS = 30_000;

/** How a page is opened. */
export interface Opening {
  /** "admin" by default. */
  readonly role?: Role;
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  /** Whether the browser has a profile: without one it never shows a notification. */
  readonly hasProfile?: boolean;
}

/** A console that is open in a browser. */
export interface ConsolePlace extends AsyncDisposable {
  readonly runtime: Runtime;
  /** The server; another one after `restart`. */
  readonly server: Served;
  /** What pages complained of: thrown errors, refused scripts. Has to be empty in the end. */
  readonly faults: string[];
  /** Opens a page of the console, signed in, in a browser context of its own. */
  open(path: string, how?: Opening): Promise<Page>;
  /** Ends the server. */
  stop(): Promise<void>;
  /** Starts the server again, on its port, with its tokens. */
  start(): void;
}

let isEndPlanned = false;
let launched: Promise<Browser> | undefined;

/** The browser of this file's tests: one, since starting it takes longer than most of them. */
function browser(): Promise<Browser> {
  launched ??= chromium.launch({
    executablePath: CHROMIUM,
    args: QUIET,
    timeout: PATIENCE_MS,
  });
  return launched;
}

/** Ends the browser; tests need not, scripts have to. */
export async function endBrowser(): Promise<void> {
  const running = launched;
  launched = undefined;
  await (await running)?.close();
}

const FRAMES = `new Promise((next) =>
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(next))))`;

/** Presses keys one after another, with no time between them that a slow machine could stretch. */
export async function pressAll(page: Page, keys: string): Promise<void> {
  await Promise.all(keys.split(" ").map((key) => page.keyboard.press(key)));
}

/** Waits until what has the focus says exactly this. */
export async function focusOn(page: Page, text: string): Promise<void> {
  await page.waitForFunction(`document.activeElement?.textContent === ${JSON.stringify(text)}`);
}

/** Waits until the window is called this: its name follows what is drawn, a moment later. */
export async function titled(page: Page, title: string): Promise<void> {
  await page.waitForFunction(`document.title === ${JSON.stringify(title)}`);
}

/** Whether there is a browser. */
export function hasBrowser(): boolean {
  return existsSync(CHROMIUM);
}

/** A test in a browser; where there is none it is skipped, and says so. */
export function browserTest(name: string, run: () => Promise<void>): void {
  const isThere = hasBrowser();
  if (!isEndPlanned) Deno.test.afterAll(endBrowser);
  isEndPlanned = true;
  Deno.test({
    name: isThere ? name : `${name} (skipped: there is no ${CHROMIUM} to open the console with)`,
    ignore: !isThere,
    // The browser's pipes are the library's own.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: run,
  });
}

/** Opens one. */
export async function consolePlace(
  given: {
    readonly runtime?: RuntimeOptions;
    readonly serve?: ServeOptions;
    /** One that is there already, instead. */
    readonly os?: Runtime;
  } = {},
): Promise<ConsolePlace> {
  const runtime = given.os ?? await createRuntime({
    store: ":memory:",
    workspace: null,
    approvals: "queue",
    ...given.runtime,
  });
  const tokens = memoryFile();
  let server = serve(runtime, { tokens, ...given.serve });
  const contexts = new Set<BrowserContext>();
  const faults: string[] = [];
  return {
    runtime,
    faults,
    get server() {
      return server;
    },
    open: async (path, how = {}) => {
      const context = await contextOf(how);
      contexts.add(context);
      context.once("close", () => contexts.delete(context));
      // Without a page: what is measured and looked at is the page that was asked for.
      await context.request.get(linkFor(server, how.role ?? "admin"), { maxRedirects: 0 });
      const page = await pageOf(context, faults);
      await page.goto(`${server.url}${path}`);
      await page.waitForSelector("main h1");
      // What is drawn hears keys a frame later.
      await page.evaluate(FRAMES);
      return page;
    },
    stop: () => server.close(),
    start: () => {
      server = serve(runtime, { tokens, ...given.serve, port: server.port });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...contexts].map(closed));
      await server.close();
      await runtime.close();
      assert.deepEqual(faults, []);
    },
  };
}

function linkFor(server: Served, role: Role): string {
  const known = server.tokens.list().find(({ name }) => name === role);
  if (known !== undefined) return server.link(known.id);
  return server.link(server.tokens.create({ name: role, role }).record.id);
}

/** A context of its own: no cookie, cache or store of another one's. */
async function contextOf(how: Opening): Promise<BrowserContext> {
  const { width = 1200, height = 800, dark = false } = how;
  const options = {
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: "reduce",
  } as const;
  if (how.hasProfile !== true) return await (await browser()).newContext(options);
  return await chromium.launchPersistentContext(scratch(), {
    ...options,
    executablePath: CHROMIUM,
    args: QUIET,
  });
}

/** Closes one; what a test still holds back of its requests is nobody's business any more. */
async function closed(context: BrowserContext): Promise<void> {
  const routed = [context, ...context.pages()];
  await Promise.all(routed.map((one) => one.unrouteAll({ behavior: "ignoreErrors" })));
  await context.close();
}

async function pageOf(context: BrowserContext, faults: string[]): Promise<Page> {
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  page.on("pageerror", (error) => faults.push(`${error}`));
  page.on("console", (message) => {
    // A connection that is lost is something that the console tells by itself.
    if (message.type() !== "error" || message.text().startsWith("Failed to load")) return;
    faults.push(message.text());
  });
  return page;
}

/** What makes a page hard to use for somebody, serious findings only; each with where it is. */
export async function barriers(page: Page): Promise<string[]> {
  // Through the debugger: the page itself refuses every script but its own.
  if (!await page.evaluate("'axe' in globalThis")) await page.evaluate(`${axe.source}; undefined`);
  const { violations } = await page.evaluate(
    "axe.run(document, { resultTypes: ['violations'] })",
  ) as axe.AxeResults;
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical").flatMap(
    ({ id, help, nodes }) => nodes.map(({ target }) => `${id}: ${help}: ${target.join(" ")}`),
  );
}

/** How many pixels of a page are beyond its right side. */
export async function overhang(page: Page): Promise<number> {
  return await page.evaluate(
    "document.documentElement.scrollWidth - document.documentElement.clientWidth",
  );
}

/**
 * Claims that a page holds for everybody: wide and narrow, light and dark, without barriers and
 * without scrolling sideways. Takes pictures of it when `LIBOS_PICTURES` names a folder.
 */
export async function assertSound(page: Page, name: string): Promise<void> {
  const was = page.viewportSize();
  for (const width of [1200, 360]) {
    await page.setViewportSize({ width, height: 800 });
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      const where = `${name}-${width}-${colorScheme}`;
      await picture(page, where);
      assert.deepEqual(await barriers(page), [], where);
      assert.equal(await overhang(page), 0, `${where} scrolls sideways`);
    }
  }
  await page.emulateMedia({ colorScheme: null });
  if (was !== null) await page.setViewportSize(was);
}

/** Takes a picture, when `LIBOS_PICTURES` names a folder for it (`docs/pictures`). */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = Deno.env.get("LIBOS_PICTURES");
  if (folder === undefined) return;
  await page.screenshot({ path: join(folder, `${name}.png`) });
}
