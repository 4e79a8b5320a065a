/**
 * The console: how soon a page answers somebody, with a thousand processes and a hundred thousand
 * lines behind it, in a real browser.
 *
 * `deno task bench:console`, which takes four minutes at most and writes bench/CONSOLE.md. An
 * interaction is measured in the page itself: from the event until
 * what it changed was drawn. An update is measured from before it happens until a row shows it.
 * Beside it stands what this machine's browser takes for a bare table of the same size.
 * @module
 */

import type { Page } from "playwright-core";
import { type AgentProcess, allow, defineImage } from "../mod.ts";
import { type ConsolePlace, consolePlace, endBrowser, hasBrowser } from "../tests/console_place.ts";
import { infoRow, type Row, type Section, shown, timed, timeRow, times } from "./measure.ts";
import { asMarkdown, asText } from "./report.ts";

const PROCESSES = 1_000;
const LINES = 100_000;
/** Samples of what people do; of what takes long, a few. */
const ROUNDS = 11;
const FEW = 5;
/** What is not measured by then is not measured, and the page says so. */
const WHOLE_MS = 210_000;
/** Samples that are taken of what was begun, however late it is. */
const LEAST = 3;
const RESULTS = new URL("./CONSOLE.md", import.meta.url);
const ANSWER_MS = 100;
/** From what happens until the page shows it. */
const LIVE_MS = 500;
/** Lines of the process whose timeline is looked at. */
const BUSY_LINES = 100_000;
/** As many as a step may have, and some to spare. */
const CALLS_A_STEP = 4_000;
/** Pages of a timeline that somebody looks through. */
const PAGES = 10;

/** Does `calls` calls, and waits; each message makes it do one more. */
const worker = defineImage({
  name: "worker",
  program: async ({ sys, input, step }) => {
    const left = (input as { readonly calls: number }).calls - (step - 1) * CALLS_A_STEP;
    for (let i = 0; i < Math.max(1, Math.min(left, CALLS_A_STEP)); i++) await sys.clock.now({});
    if (left <= CALLS_A_STEP) await sys.message.receive({});
  },
});

/** The time that is left; nothing more is begun when there is none. */
class Deadline {
  readonly #endMs: number;
  /** What was left out, by name. */
  readonly left: string[] = [];

  constructor(ms: number) {
    this.#endMs = performance.now() + ms;
  }

  /** Whether a few samples have to do. */
  get isOver(): boolean {
    return performance.now() >= this.#endMs;
  }

  /** Whether `what` may begin. */
  allows(what: string): boolean {
    if (performance.now() < this.#endMs) return true;
    this.left.push(what);
    return false;
  }
}

async function planted(at: ConsolePlace): Promise<AgentProcess[]> {
  const each = LINES / PROCESSES - 8;
  const found: AgentProcess[] = [];
  for (let i = 0; i < PROCESSES; i++) {
    found.push(
      await at.runtime.spawn(worker, {
        goal: `Look at part ${i} of the whole`,
        input: { calls: Math.round(each) },
        labels: { part: String(i % 10) },
        grants: [allow("file.read", "./**")],
        budget: { tokens: 1_000 },
      }),
    );
    if (i % 50 === 49) await at.runtime.runUntilIdle();
  }
  await at.runtime.runUntilIdle();
  return found;
}

/** Does something in the page, and tells how long it took until the page was drawn with it. */
async function answered(page: Page, act: string, until = "true"): Promise<number> {
  return await page.evaluate(`(async () => {
    const drawn = () => new Promise((next) => requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = next;
      port2.postMessage(0);
    }));
    await drawn();
    const start = performance.now();
    ${act};
    do {
      await drawn();
      if (performance.now() - start > 20_000) throw new Error("The page did not answer");
    } while (!(${until}));
    return performance.now() - start;
  })()`);
}

const FIND = `document.querySelector("main [data-filter]")`;

function typed(text: string): string {
  return `{ const field = ${FIND}; field.value = ${JSON.stringify(text)};
    field.dispatchEvent(new Event("input", { bubbles: true })); }`;
}

const LIST: readonly (readonly [string, string, string])[] = [
  ["a word is sought", typed("part 173"), `document.querySelectorAll(".ps tbody tr").length < 10`],
  ["none is sought any more", typed(""), `document.querySelectorAll(".ps tbody tr").length > 20`],
  [
    "the list is scrolled far",
    `{ const list = document.querySelector(".tall");
       list.scrollTop = list.scrollTop > 9000 ? 0 : 20000; }`,
    "true",
  ],
  ["all are chosen, or none", `document.querySelector("thead input").click()`, "true"],
  [
    "the next row",
    `document.dispatchEvent(new KeyboardEvent("keydown", { key: "j", bubbles: true }))`,
    "true",
  ],
];

/** What a browser takes on this machine to draw as much text without any of the console's code. */
const BARE = `{
  document.getElementById("bare")?.remove();
  const table = document.createElement("table");
  table.id = "bare";
  for (let i = 0; i < 35; i++) {
    const row = table.insertRow();
    for (let j = 0; j < 11; j++) row.insertCell().textContent = i + " and " + j;
  }
  document.querySelector("main").append(table);
}`;

async function listRows(page: Page, state: string, until: Deadline): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [what, act, done] of LIST) {
    const name = `processes, ${state}: ${what}`;
    if (!until.allows(name)) continue;
    const samples: number[] = [];
    const raw: number[] = [];
    for (let i = 0; i < (until.isOver ? LEAST : ROUNDS); i++) {
      raw.push(await answered(page, BARE));
      if (what.startsWith("none")) await answered(page, LIST[0]![1], LIST[0]![2]);
      if (what.startsWith("a word")) await answered(page, LIST[1]![1], LIST[1]![2]);
      samples.push(await answered(page, act, done));
    }
    const row = timeRow(name, times(samples), ANSWER_MS);
    const bare = times(raw).median;
    rows.push({ ...row, raw: shown(bare), ratio: (times(samples).median / bare).toFixed(2) });
  }
  return rows;
}

/** How long it takes until a row shows what happened to its process, from before it happened. */
async function liveRow(
  page: Page,
  process: AgentProcess,
  given: { readonly state: string; readonly until: Deadline },
): Promise<Row> {
  const { state, until } = given;
  const samples: number[] = [];
  await answered(page, typed(process.pid), `document.querySelectorAll(".ps tbody tr").length < 10`);
  for (let i = 0; i < (until.isOver ? LEAST : ROUNDS); i++) {
    const [signal, word] = i % 2 === 0
      ? ["pause", "paused"] as const
      : ["resume", "message"] as const;
    const seen = page.evaluate(`new Promise((seen) => {
      const look = () => {
        const rows = [...document.querySelectorAll(".ps tbody tr")];
        const row = rows.find((row) => row.querySelector("a")?.textContent === "${process.pid}");
        if (row?.textContent.includes("${word}")) return seen();
        requestAnimationFrame(look);
      };
      look();
    })`);
    const start = performance.now();
    await process.signal(signal);
    await seen;
    samples.push(performance.now() - start);
  }
  await answered(page, typed(""), `document.querySelectorAll(".ps tbody tr").length > 20`);
  return timeRow(`processes, ${state}: a row shows what happened`, times(samples), LIVE_MS);
}

/** Lets processes do something all the time, until it is stopped; tells how often they did. */
function bustle(all: readonly AgentProcess[]): () => Promise<number> {
  let count = 0;
  let isOver = false;
  const run = (async () => {
    while (!isOver) {
      await all[count++ % all.length]!.send("go on");
      await new Promise((next) => setTimeout(next, 5));
    }
    return count;
  })();
  return () => {
    isOver = true;
    return run;
  };
}

/** What somebody does in a timeline, by mouse and by keyboard; `width` of it is what was read. */
const IN_TIMELINE: readonly (readonly [string, string, string])[] = [
  ["farther", clicked("Farther"), "true"],
  ["nearer", clicked("Nearer"), "true"],
  ["its first bar", pressed("Home"), "true"],
  ["the next bar", pressed("ArrowRight"), "true"],
  ["its last bar", pressed("End"), "true"],
  ["the bar before", pressed("ArrowLeft"), "true"],
  ["a bar is opened", pressed("Enter"), `document.querySelector("aside") !== null`],
  [
    "it is closed",
    `document.querySelector("aside [aria-label=Close]").click()`,
    `document.querySelector("aside") === null`,
  ],
  [
    "scrolled to its middle, and back",
    `{ const chart = document.querySelector(".chart");
       const middle = chart.scrollWidth / 2;
       chart.scrollLeft = chart.scrollLeft > middle ? middle : chart.scrollWidth; }`,
    "true",
  ],
];

function clicked(name: string): string {
  return `[...document.querySelectorAll("main button")]
    .find(({ textContent }) => textContent === "${name}").click()`;
}

function pressed(key: string): string {
  return `document.querySelector('svg [tabindex="0"]').dispatchEvent(
    new KeyboardEvent("keydown", { key: "${key}", bubbles: true, cancelable: true }))`;
}

async function timelineRows(page: Page, state: string, until: Deadline): Promise<Row[]> {
  if (!until.allows(`timeline, ${state}`)) return [];
  const samples = new Map<string, number[]>(IN_TIMELINE.map(([what]) => [what, []]));
  for (let i = 0; i < (until.isOver ? LEAST : ROUNDS); i++) {
    for (const [what, act, done] of IN_TIMELINE) {
      samples.get(what)!.push(await answered(page, act, done));
    }
  }
  return [...samples].map(([what, taken]) =>
    timeRow(`timeline, ${state}: ${what}`, times(taken), ANSWER_MS)
  );
}

async function processRows(page: Page, until: Deadline): Promise<Row[]> {
  if (!until.allows("a process of many lines")) return [];
  const bars = `document.querySelectorAll("[data-seq]").length > 10`;
  const lines = `document.querySelectorAll("tbody tr").length > 50`;
  const opened: number[] = [];
  const listed: number[] = [];
  const tab = (name: string): string =>
    `[...document.querySelectorAll(".tabs a")].find((a) => a.textContent === "${name}").click()`;
  for (let i = 0; i < FEW; i++) {
    listed.push(await answered(page, tab("Raw events"), lines));
    opened.push(await answered(page, tab("Timeline"), bars));
  }
  const rows = [
    infoRow("its timeline is opened", times(opened)),
    infoRow("its lines are opened", times(listed)),
    ...await timelineRows(page, "one page read", until),
  ];
  const earlier: number[] = [];
  const width = `Number(document.querySelector(".chart svg").getAttribute("width"))`;
  for (let i = 1; i < PAGES; i++) {
    const was = Number(await page.evaluate(width));
    earlier.push(await answered(page, clicked("Earlier ones"), `${width} > ${was + 100}`));
  }
  rows.push(infoRow("timeline: 500 earlier bars come", times(earlier)));
  return [...rows, ...await timelineRows(page, `${PAGES} pages read`, until)];
}

/** The page of a process that did very much, where there is a browser. */
export async function processAnswers(until = new Deadline(WHOLE_MS)): Promise<Section> {
  const title = "Console: a process of 100,000 lines";
  if (!hasBrowser()) return { title, rows: [], notes: ["There is no browser here."] };
  await using at = await consolePlace();
  await at.runtime.spawn(worker, { goal: "Work for long", input: { calls: BUSY_LINES } });
  await at.runtime.runUntilIdle();
  const page = await at.open("/p/p_1");
  await page.locator("[data-seq]").first().waitFor();
  const load = loadText();
  const rows = await processRows(page, until);
  return { title, rows, notes: [`The machine's load average was ${load} when it began.`] };
}

/** The console's list of processes, where there is a browser. */
export async function consoleAnswers(until = new Deadline(WHOLE_MS)): Promise<Section> {
  const title = "Console: a thousand processes";
  if (!hasBrowser()) return { title, rows: [], notes: ["There is no browser here."] };
  await using at = await consolePlace();
  const all = await planted(at);
  const rows: Row[] = [];
  const page = await at.open("/");
  const load = loadText();
  const first = `document.querySelectorAll(".ps tbody tr").length > 20`;
  const open = `document.querySelector("a[href='/view/processes']").click()`;
  rows.push(infoRow("processes: the page is opened", times([await answered(page, open, first)])));
  rows.push(...await listRows(page, "at rest", until));
  if (until.allows("updates at rest")) {
    rows.push(await liveRow(page, all[900]!, { state: "at rest", until }));
  }
  const stop = bustle(all.slice(1, 900));
  let count = 0;
  const tookMs = await timed(async () => {
    const state = "while much happens";
    rows.push(...await listRows(page, state, until));
    if (until.allows(`updates ${state}`)) {
      rows.push(await liveRow(page, all[901]!, { state, until }));
    }
    count = await stop();
  });
  return {
    title,
    rows,
    notes: [
      `${PROCESSES} processes, ${LINES.toLocaleString("en")} lines; the machine's load average ` +
      `was ${load} when it began. While much happened, ` +
      `${Math.round(count / tookMs * 1_000)} processes a second went on.`,
    ],
  };
}

function loadText(): string {
  return Deno.loadavg().map((one) => one.toFixed(1)).join(", ");
}

async function whole(): Promise<void> {
  const before = loadText();
  const start = performance.now();
  const until = new Deadline(WHOLE_MS);
  const sections = [await consoleAnswers(until), await processAnswers(until)];
  await endBrowser();
  const tookMs = performance.now() - start;
  for (const section of sections) console.log(asText(section));
  const { arch, os } = Deno.build;
  const left = until.left.length === 0
    ? "Nothing was left out."
    : `Left out, since ${WHOLE_MS / 1_000} s were over: ${until.left.join("; ")}.`;
  const head = [
    "# How soon the console answers",
    "",
    `Taken ${new Date().toISOString().slice(0, 10)} by \`deno task bench:console\` in ` +
    `${Math.round(tookMs / 1_000)} s, on a machine with ${navigator.hardwareConcurrency} cores ` +
    `(${arch}, ${os}), Deno ${Deno.version.deno}, load average ${before} before and ` +
    `${loadText()} at the end. Written by the bench. ${left}`,
    "",
    `Medians of ${ROUNDS} (of ${LEAST}, where time was over) in Chromium: from the event in the page until what it changed was drawn ` +
    `(target ${ANSWER_MS} ms), and from before something happens in the kernel until a row shows ` +
    `it (${LIVE_MS} ms). *raw* is what the same browser took at the same moments to draw a bare ` +
    "table of as much text.",
    "",
  ];
  await Deno.writeTextFile(RESULTS, [...head, ...sections.map(asMarkdown)].join("\n"));
}

if (import.meta.main) await whole();
