/**
 * The console: how soon a page answers somebody, with a thousand processes and a hundred thousand
 * lines behind it, in a real browser.
 *
 * `deno task bench:console`. An interaction is measured in the page itself: from the event until
 * what it changed was drawn. An update is measured from before it happens until a row shows it.
 * Beside it stands what this machine's browser takes for a bare table of the same size.
 * @module
 */

import type { Page } from "playwright-core";
import { type AgentProcess, allow, defineImage } from "../mod.ts";
import { type ConsolePlace, consolePlace, hasBrowser } from "../tests/console_place.ts";
import { infoRow, type Row, type Section, shown, timed, timeRow, times } from "./measure.ts";

const PROCESSES = 1_000;
const LINES = 100_000;
const ROUNDS = 15;
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

async function listRows(page: Page, state: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [what, act, until] of LIST) {
    const samples: number[] = [];
    const raw: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      raw.push(await answered(page, BARE));
      if (what.startsWith("none")) await answered(page, LIST[0]![1], LIST[0]![2]);
      if (what.startsWith("a word")) await answered(page, LIST[1]![1], LIST[1]![2]);
      samples.push(await answered(page, act, until));
    }
    const row = timeRow(`processes, ${state}: ${what}`, times(samples), ANSWER_MS);
    const bare = times(raw).median;
    rows.push({ ...row, raw: shown(bare), ratio: (times(samples).median / bare).toFixed(2) });
  }
  return rows;
}

/** How long it takes until a row shows what happened to its process, from before it happened. */
async function liveRow(page: Page, process: AgentProcess, state: string): Promise<Row> {
  const samples: number[] = [];
  await answered(page, typed(process.pid), `document.querySelectorAll(".ps tbody tr").length < 10`);
  for (let i = 0; i < ROUNDS; i++) {
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

async function timelineRows(page: Page, state: string): Promise<Row[]> {
  const samples = new Map<string, number[]>(IN_TIMELINE.map(([what]) => [what, []]));
  for (let i = 0; i < ROUNDS; i++) {
    for (const [what, act, until] of IN_TIMELINE) {
      samples.get(what)!.push(await answered(page, act, until));
    }
  }
  return [...samples].map(([what, taken]) =>
    timeRow(`timeline, ${state}: ${what}`, times(taken), ANSWER_MS)
  );
}

async function processRows(page: Page): Promise<Row[]> {
  const bars = `document.querySelectorAll("[data-seq]").length > 10`;
  const lines = `document.querySelectorAll("tbody tr").length > 50`;
  const opened: number[] = [];
  const listed: number[] = [];
  const tab = (name: string): string =>
    `[...document.querySelectorAll(".tabs a")].find((a) => a.textContent === "${name}").click()`;
  for (let i = 0; i < ROUNDS; i++) {
    listed.push(await answered(page, tab("Raw events"), lines));
    opened.push(await answered(page, tab("Timeline"), bars));
  }
  const rows = [
    infoRow("its timeline is opened", times(opened)),
    infoRow("its lines are opened", times(listed)),
    ...await timelineRows(page, "one page read"),
  ];
  const earlier: number[] = [];
  const width = `Number(document.querySelector(".chart svg").getAttribute("width"))`;
  for (let i = 1; i < PAGES; i++) {
    const was = Number(await page.evaluate(width));
    earlier.push(await answered(page, clicked("Earlier ones"), `${width} > ${was + 100}`));
    // It can be asked for again a moment after it is drawn.
    await page.getByRole("button", { name: "Earlier ones", disabled: false }).waitFor();
  }
  rows.push(infoRow("timeline: 500 earlier bars come", times(earlier)));
  return [...rows, ...await timelineRows(page, `${PAGES} pages read`)];
}

/** The page of a process that did very much, where there is a browser. */
export async function processAnswers(): Promise<Section> {
  const title = "Console: a process of 100,000 lines";
  if (!hasBrowser()) return { title, rows: [], notes: ["There is no browser here."] };
  await using at = await consolePlace();
  await at.runtime.spawn(worker, { goal: "Work for long", input: { calls: BUSY_LINES } });
  await at.runtime.runUntilIdle();
  const page = await at.open("/p/p_1");
  await page.locator("[data-seq]").first().waitFor();
  const load = Deno.loadavg().map((one) => one.toFixed(1)).join(", ");
  const rows = await processRows(page);
  return { title, rows, notes: [`The machine's load average was ${load} when it began.`] };
}

/** The console's list of processes, where there is a browser. */
export async function consoleAnswers(): Promise<Section> {
  const title = "Console: a thousand processes";
  if (!hasBrowser()) return { title, rows: [], notes: ["There is no browser here."] };
  await using at = await consolePlace();
  const all = await planted(at);
  const rows: Row[] = [];
  const page = await at.open("/");
  const first = `document.querySelectorAll(".ps tbody tr").length > 20`;
  const open = `document.querySelector("a[href='/view/processes']").click()`;
  rows.push(infoRow("processes: the page is opened", times([await answered(page, open, first)])));
  rows.push(...await listRows(page, "at rest"));
  rows.push(await liveRow(page, all[900]!, "at rest"));
  const stop = bustle(all.slice(1, 900));
  const bustleMs: Row[] = [];
  let count = 0;
  const tookMs = await timed(async () => {
    bustleMs.push(...await listRows(page, "while much happens"));
    bustleMs.push(await liveRow(page, all[901]!, "while much happens"));
    count = await stop();
  });
  rows.push(...bustleMs);
  return {
    title,
    rows,
    notes: [
      `${PROCESSES} processes, ${LINES.toLocaleString("en")} lines. ` +
      `While much happened, ${Math.round(count / tookMs * 1_000)} processes a second went on.`,
    ],
  };
}

if (import.meta.main) {
  const { asText } = await import("./report.ts");
  console.log(asText(await processAnswers()));
  console.log(asText(await consoleAnswers()));
}
