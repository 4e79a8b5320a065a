/**
 * The soak by the clock of the machine: a desk and a talker work for hours in a process of their
 * own, which is killed again and again, with a store, files and a model server that are real. It
 * ends as the same work does in virtual time without a death, and costs no more at its end.
 *
 * `deno task soak:real`: LIBOS_SOAK_HOURS is how long (6), LIBOS_SOAK_KILLS how often it is killed.
 * LIBOS_SEED repeats the work and the times of an earlier run.
 * @module
 */

import assert from "node:assert/strict";
import { SqliteStore } from "../mod.ts";
import { SeededRandom } from "../testing.ts";
import { readLines } from "../runtime/load.ts";
import { filler } from "./context_fixture.ts";
import { asks, fakeOpenAi, type Planner, resultsOf, says } from "./fake_openai_server.ts";
import { runSession } from "./soak_place.ts";
import { imagesAt } from "./soak_real_child.ts";
import { gapOf, ONCE_MAX, type SessionSize } from "./soak_session.ts";

const CHILD = new URL("./soak_real_child.ts", import.meta.url).pathname;
const HOURS = Number(Deno.env.get("LIBOS_SOAK_HOURS") ?? 6);
const MS = HOURS * 3_600_000;
const SEED = Number(Deno.env.get("LIBOS_SEED") ?? 1);
const KILLS = Number(Deno.env.get("LIBOS_SOAK_KILLS") ?? Math.max(20, Math.round(33 * HOURS)));
const PARTS = 6;
const SAMPLE_MS = 1_000;
const TICKS_PER_SECOND = 100;
/** What the last part may cost, in parts of the first, where parts are long enough to tell. */
const FLAT = 1.2;
const LONG_HOURS = 1;
const SIZE: SessionSize = {
  seed: SEED,
  rounds: Math.max(24, Math.round(60 * HOURS)),
  pages: Math.max(48, Math.round(80 * HOURS)),
  ms: MS,
};

/** Reads a page a turn, as the scripted talker does. */
function reader(size: SessionSize): Planner {
  const gapMs = gapOf(size);
  return (messages) => {
    const last = messages.at(-1);
    if (last?.role === "user" && last.content?.startsWith("Summarize the conversation")) {
      return says("Pages were read.");
    }
    const page = resultsOf(messages, "page").at(-1);
    const n = page === undefined ? 0 : (JSON.parse(page.text) as { readonly n: number }).n;
    if (n >= size.pages) return says(`Read ${n} pages`);
    return asks(
      { name: "page", args: { n: n + 1 } },
      { name: "file_write", args: { path: `w/page-${n + 1}`, text: filler(n + 1, 20) } },
      { name: "clock_sleep", args: { ms: n === 0 ? gapMs + 3 : gapMs } },
    );
  };
}

/** What was measured in one part of the time. */
interface Part {
  calls: number;
  lines: number;
  bytes: number;
  cpuMs: number;
  rssMax: number;
  readonly starts: number[];
}

/** Lives until it has ended, killed now and then. */
class Soak {
  readonly folder: string;
  readonly url: string;
  readonly startedMs = Date.now();
  readonly parts: Part[] = Array.from({ length: PARTS }, () => ({
    calls: 0,
    lines: 0,
    bytes: 0,
    cpuMs: 0,
    rssMax: 0,
    starts: [],
  }));
  readonly #random = new SeededRandom(SEED);
  kills = 0;

  constructor(folder: string, url: string) {
    this.folder = folder;
    this.url = url;
  }

  at(ms: number): Part {
    const i = Math.floor(PARTS * (ms - this.startedMs) / MS);
    return this.parts[Math.max(0, Math.min(PARTS - 1, i))]!;
  }

  async run(): Promise<void> {
    for (let life = 1;; life++) {
      const mayDie = Date.now() - this.startedMs < 0.95 * MS && this.kills < KILLS;
      const meanMs = MS / KILLS;
      const killMs = mayDie ? meanMs * (0.5 + this.#random.below(1_000) / 1_000) : null;
      if (await this.#live(life, killMs)) return;
      this.kills += 1;
    }
  }

  /** One life; whether it came to the end. */
  async #live(life: number, killMs: number | null): Promise<boolean> {
    const args = ["run", "-A", "--no-check", CHILD, this.folder, this.url, String(life)];
    const child = new Deno.Command(Deno.execPath(), {
      args: [...args, JSON.stringify(SIZE)],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const timer = killMs === null ? undefined : setTimeout(() => child.kill("SIGKILL"), killMs);
    let cpuMs = 0;
    const sample = setInterval(() => cpuMs = this.#sample(child.pid, cpuMs), SAMPLE_MS);
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const ready = /^ready (\d+)/m.exec(text)?.[1];
      if (ready !== undefined) this.at(Date.now()).starts.push(Number(ready));
    }
    const { code, signal } = await child.status;
    clearTimeout(timer);
    clearInterval(sample);
    assert.ok(signal === "SIGKILL" || code === 0, `life ${life} ended with ${code}`);
    return signal !== "SIGKILL";
  }

  #sample(pid: number, before: number): number {
    try {
      const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
      const cpuMs = 1_000 * (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
      const part = this.at(Date.now());
      part.cpuMs += cpuMs - before;
      const status = Deno.readTextFileSync(`/proc/${pid}/status`);
      const rss = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1_024;
      part.rssMax = Math.max(part.rssMax, rss);
      return cpuMs;
    } catch {
      return before;
    }
  }

  /** Counts what the log says of each part. */
  async count(): Promise<void> {
    const store = SqliteStore.open(`${this.folder}/libos.db`, { mode: "read" });
    for (const { tree } of await store.list({ limit: 1_000 })) {
      for await (const line of readLines(store, tree)) {
        const part = this.at(line.atMs);
        const isCopy = ["tree.restored", "tree.forked", "tree.grown"].includes(line.type);
        part.lines += 1;
        if (!isCopy) part.bytes += JSON.stringify(line).length;
        const { name } = line.data as unknown as { readonly name?: string };
        if (line.type === "call.done" && name === "tool.call") part.calls += 1;
      }
    }
    await store.close();
  }
}

function told({ calls, lines, bytes, cpuMs, rssMax, starts }: Part): string {
  const each = (n: number): string => (n / Math.max(1, calls)).toFixed(1);
  const median = starts.toSorted((a, b) => a - b)[starts.length >> 1] ?? 0;
  return `${calls} calls: ${each(lines)} lines, ${each(bytes)} bytes, ${
    each(cpuMs)
  } ms CPU each; ` +
    `${(rssMax / 2 ** 20).toFixed(0)} MB at most; ready ${median} ms after ${starts.length} starts`;
}

async function judge(soak: Soak): Promise<void> {
  const whole = await runSession(SIZE, { crashes: 0, every: 1 }, imagesAt(soak.url, SIZE));
  const ending = JSON.parse(await Deno.readTextFile(`${soak.folder}/ending.json`));
  assert.deepEqual(ending.broken, []);
  assert.deepEqual(ending.results, whole.results);
  for (const [path, text] of whole.contents) {
    // A branch and its origin both write it, in the order of their turns.
    if (path === "w/ledger") continue;
    assert.equal(await Deno.readTextFile(`${soak.folder}/files/${path}`), text, path);
  }
  const done = (await Deno.readTextFile(`${soak.folder}/done`)).split("\n").slice(0, -1).sort();
  const twice = done.filter((what, i) => what === done[i - 1] && what !== "write w/ledger");
  assert.deepEqual(twice, [], "done twice");
  const once = done.filter((what) => what.startsWith("write once/"));
  assert.ok(once.length <= ONCE_MAX, `${once.length} uses of ${ONCE_MAX}`);
  if (HOURS < LONG_HOURS) return;
  const [first, last] = [soak.parts[0]!, soak.parts.at(-1)!];
  for (const kind of ["lines", "bytes", "cpuMs"] as const) {
    const [before, after] = [first[kind] / first.calls, last[kind] / last.calls];
    assert.ok(after <= FLAT * before, `${kind} a call: ${before}, then ${after}`);
  }
  assert.ok(last.rssMax <= FLAT * first.rssMax, `${first.rssMax} bytes, then ${last.rssMax}`);
}

if (import.meta.main) {
  const folder = await Deno.makeTempDir({ prefix: "libos-soak-" });
  try {
    for (const name of ["w", "once", "asked", "denied"]) {
      await Deno.mkdir(`${folder}/files/${name}`, { recursive: true });
    }
    await using server = fakeOpenAi(reader(SIZE));
    const soak = new Soak(folder, server.url);
    console.log(`${HOURS} hours, ${SIZE.rounds} rounds, ${SIZE.pages} pages, seed ${SEED}`);
    await soak.run();
    const minutes = (Date.now() - soak.startedMs) / 60_000;
    await soak.count();
    console.log(`${soak.kills} kills in ${minutes.toFixed(1)} minutes`);
    for (const part of soak.parts) console.log(`  ${told(part)}`);
    await judge(soak);
    console.log("It ended as in virtual time without a death.");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
