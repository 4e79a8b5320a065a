/**
 * Nodes over one PostgreSQL: steps a second, wake-ups from node to node, and how soon another goes
 * on with the trees of one that was killed: `deno task bench:nodes`.
 *
 * `LIBOS_TEST_PG` names a database; without, one is started, with its defaults.
 * @module
 */

import postgres from "postgres";
import { createRuntime } from "../mod.ts";
import { treeOf } from "../kernel/ids.ts";
import { PostgresStore } from "../postgres.ts";
import { startPostgres } from "../tests/postgres_place.ts";
import { infoRow, numberRow, type Row, type Section, type Times, times } from "./measure.ts";
import { beater, nowMs, STEP_BYTES, waiter } from "./nodes_child.ts";
import { asMarkdown, asText } from "./report.ts";
import { freshText } from "./stage.ts";

const RESULTS = new URL("./NODES.md", import.meta.url);
const CHILD = new URL("./nodes_child.ts", import.meta.url).pathname;
const TREES = 100;
/** Five times what DBOS makes at 100 concurrent. */
const STEPS_MIN = 5 * 700;
const WARM_MS = 2_000;
const MEASURED_MS = 5_000;
const WAKES = 200;
const LEASE_MS = 2_000;
const KILLS = 3;

let schemas = 0;
/** An address of the server with a schema that nobody has yet. */
function fresh(url: string): string {
  return `${url}?schema=bench_${Deno.pid}_${schemas += 1}`;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A node in a process of its own. */
class Child implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncGenerator<string>;

  constructor(args: readonly string[]) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", CHILD, ...args],
      stdin: "piped",
      stdout: "piped",
      env: { DENO_NO_UPDATE_CHECK: "1" },
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#lines = linesOf(this.#child.stdout);
  }

  /** Tells it something. */
  async say(line: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
  }

  /** The words of its next line. */
  async hear(): Promise<readonly string[]> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error("A node of the bench died");
    return value.split(" ");
  }

  /** Kills it. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.kill();
    } catch {
      // Dead already.
    }
    await this.#lines.return(undefined);
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (text + chunk).split("\n");
    text = parts.pop()!;
    yield* parts;
  }
}

/** Steps a second of so many nodes, among which a hundred trees are spread. */
async function stepsOf(url: string, nodes: number, kind: "steps" | "alone"): Promise<number> {
  const store = fresh(url);
  await (await PostgresStore.open(store)).close();
  await using stack = new AsyncDisposableStack();
  const children = Array.from(
    { length: nodes },
    (_, i) => stack.use(new Child([kind, store, `${kind}-${i}`, "30000", `${TREES / nodes}`])),
  );
  for (const child of children) await child.hear();
  for (const child of children) await child.say("go");
  const count = async (): Promise<{ made: number; atMs: number }> => {
    for (const child of children) await child.say("count");
    const heard = await Promise.all(children.map((child) => child.hear()));
    const made = heard.reduce((sum, [, made]) => sum + Number(made), 0);
    return { made, atMs: heard.reduce((sum, [, , at]) => sum + Number(at), 0) / nodes };
  };
  await pause(WARM_MS);
  const before = await count();
  await pause(MEASURED_MS);
  const after = await count();
  return (after.made - before.made) * 1_000 / (after.atMs - before.atMs);
}

/** Rows a second that plain commits of a step's bytes make, over so many connections. */
async function rawOf(url: string, connections: number): Promise<number> {
  const sql = postgres(url, { max: connections, onnotice: () => {} });
  const table = `raw_${Deno.pid}_${schemas += 1}`;
  await sql.unsafe(`CREATE TABLE ${table}(id bigserial PRIMARY KEY, body text NOT NULL)`);
  const insert = `INSERT INTO ${table}(body) VALUES($1)`;
  let made = 0;
  let isOver = false;
  const lanes = Array.from({ length: connections }, async () => {
    while (!isOver) {
      await sql.unsafe(insert, [freshText(STEP_BYTES)], { prepare: true });
      made += 1;
    }
  });
  await pause(WARM_MS / 4);
  const [before, startMs] = [made, performance.now()];
  await pause(MEASURED_MS / 2);
  const rate = (made - before) * 1_000 / (performance.now() - startMs);
  isOver = true;
  await Promise.all(lanes);
  await sql.unsafe(`DROP TABLE ${table}`);
  await sql.end();
  return rate;
}

/** From a message sent at one node to the turn of a process at another. */
async function wakes(url: string): Promise<Times> {
  const store = fresh(url);
  await using child = new Child(["wait", store, "far", "30000", "20"]);
  const [, ...pids] = await child.hear();
  const options = { workspace: null, approvals: "queue", images: [waiter] } as const;
  await using os = await createRuntime({ store, ...options, node: { name: "near" } });
  const label = { sensitivity: "internal", trust: "trusted" } as const;
  const mail = { from: "person:bench", data: null, interrupt: false, replyTo: null, label };
  const taken: number[] = [];
  for (let n = 0; n < WAKES; n++) {
    const to = pids[n % pids.length] as `p_${number}`;
    const sentMs = nowMs();
    const sent = os.order(treeOf(to), { kind: "message", to, type: `n${n}`, ...mail });
    const [, type, at] = await child.hear();
    if (type !== `n${n}`) throw new Error(`Woken by ${type}, expected n${n}`);
    taken.push(Number(at) - sentMs);
    await sent;
  }
  return times(taken);
}

/** From a kill to the first line of the last of its trees that another node writes. */
async function takeovers(url: string): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < KILLS; i++) {
    const store = fresh(url);
    await using child = new Child(["beat", store, "first", `${LEASE_MS}`, "10"]);
    const [, ...pids] = await child.hear();
    const options = { workspace: null, approvals: "queue", images: [beater] } as const;
    const node = { name: "second", leaseMs: LEASE_MS };
    await using os = await createRuntime({ store, ...options, node });
    const left = new Set(pids.map(treeOf));
    const all = Promise.withResolvers<void>();
    let isKilled = false;
    os.node.listen((tree) => {
      // What it took from the first while that lived is not waited for.
      left.delete(tree);
      if (isKilled && left.size === 0) all.resolve();
    });
    await pause(1_000 + 300 * i);
    await child.kill();
    isKilled = true;
    const killedMs = performance.now();
    if (left.size > 0) await all.promise;
    found.push(performance.now() - killedMs);
  }
  return found;
}

function stepsRow(what: string, rate: number, atLeast?: number): Row {
  // Nodes that took no tree at all are a fault, and no figure.
  if (rate === 0) throw new Error(`No steps were made with ${what}`);
  return numberRow(what, rate, { ...(atLeast === undefined ? {} : { atLeast }), unit: "steps/s" });
}

async function throughput(url: string): Promise<Section> {
  const raw = [await rawOf(url, 1)];
  const one = await stepsOf(url, 1, "steps");
  const many = [await rawOf(url, 16)];
  const two = await stepsOf(url, 2, "steps");
  const alone = await stepsOf(url, 1, "alone");
  const four = await stepsOf(url, 4, "steps");
  raw.push(await rawOf(url, 1));
  many.push(await rawOf(url, 16));
  const [rawOne, rawMany] = [raw, many].map((all) => all.reduce((a, b) => a + b) / all.length);
  return {
    title: "Durable steps: intent and outcome, 1 KB each way, 100 trees",
    rows: [
      numberRow("raw: single-row commits of 1 KB, one connection", rawOne!, { unit: "rows/s" }),
      numberRow("raw: the same over 16 connections", rawMany!, { unit: "rows/s" }),
      stepsRow("1 node", one, STEPS_MIN),
      stepsRow("2 nodes", two),
      stepsRow("4 nodes", four),
      numberRow("1 node, against raw commits over 16 connections", one / rawMany!, { unit: "×" }),
      stepsRow("1 node, a transaction for each batch", alone),
      numberRow("what group commit gains", one / alone, { unit: "×" }),
    ],
    notes: [
      "A step is two durable writes, one before its effect and one after; a raw row is one. Nodes, " +
      "their database and this bench share the cores of one machine. The target is five times " +
      "what is stated for DBOS on two cores, 700 steps/s at 100 concurrent; that was not measured " +
      "here.",
    ],
  };
}

async function liveliness(url: string): Promise<Section> {
  const woken = await wakes(url);
  const taken = await takeovers(url);
  const most = Math.max(...taken) / 1_000;
  return {
    title: "From node to node",
    rows: [
      infoRow("a message sent at one node wakes a process at another", woken),
      numberRow("the same, 99th percentile", woken.p99, { unit: "ms" }),
      numberRow(`takeover after kill -9, the slowest of ${KILLS}, all 10 trees`, most, {
        atMost: (LEASE_MS + 1_000) / 1_000,
        unit: "s",
      }),
    ],
    notes: [
      `${WAKES} messages, one after the other. The lease is ${LEASE_MS / 1_000} s; a takeover is ` +
      "over when the last tree has a line of the other node.",
    ],
  };
}

if (import.meta.main) {
  const start = performance.now();
  const load = Deno.loadavg()[0]!.toFixed(1);
  const server = await startPostgres();
  try {
    const sections = [await throughput(server.url)];
    console.log(asText(sections[0]!));
    sections.push(await liveliness(server.url));
    console.log(asText(sections[1]!));
    const took = Math.round((performance.now() - start) / 1_000);
    const page = `# Nodes over one PostgreSQL

Taken ${
      new Date().toISOString().slice(0, 10)
    } by \`deno task bench:nodes\` in ${took} s, on a machine
with ${navigator.hardwareConcurrency} cores, Deno ${Deno.version.deno}, load average ${load} before.
Written by the bench.

${sections.map(asMarkdown).join("\n")}`;
    await Deno.writeTextFile(RESULTS, page);
  } finally {
    await server.stop();
  }
}
