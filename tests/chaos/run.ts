/**
 * A chaos run: nodes over one database, agents with effects, clients, faults; then calm, and a
 * judgement.
 * @module
 */

import type { TreeId } from "../../kernel/ids.ts";
import { treeOf } from "../../kernel/ids.ts";
import { PostgresStore } from "../../postgres.ts";
import { realClock } from "../../providers/clock.ts";
import { readLines } from "../../runtime/load.ts";
import { SeededRandom } from "../../testing.ts";
import type { Server } from "../postgres_place.ts";
import type { Told } from "./agents.ts";
import { Clients } from "./clients.ts";
import { type Tally, torment } from "./faults.ts";
import { History } from "./history.ts";
import { fairness, judge, type Judged } from "./judge.ts";
import { type Heard, Member } from "./member.ts";
import { Recorder } from "./recorder.ts";
import { Watch } from "./watch.ts";

/** How large a run is. */
export interface Extent {
  readonly seed: number;
  readonly nodes: number;
  readonly trees: number;
  /** How long faults go on, in milliseconds. */
  readonly chaosMs: number;
  /** How long it may take afterwards until another tree ends. */
  readonly calmMs: number;
  readonly leaseMs: number;
  /** How long an agent waits between two effects. */
  readonly pauseMs: number;
  /** Between two faults, and between two acts of a client, at most. */
  readonly gapMs: { readonly faults: number; readonly acts: number };
  readonly clients: number;
  /** The least Jain's index over what trees had; short runs say little. */
  readonly fair: number;
}

/** What came of a run. */
export interface Outcome extends Judged {
  readonly faults: Tally;
  readonly acts: { readonly ok: number; readonly refused: number; readonly unknown: number };
  readonly reads: number;
  readonly forged: { readonly tried: number; readonly taken: number };
  /** Jain's index over the effects that each tree had when calm came. */
  readonly fairness: number;
  /** The least effects of a tree, and the most. */
  readonly shares: readonly [number, number];
}

/** How a node says that it had no lease just then, or that the database did not answer. */
const LAPSED = ["EFENCED", "ESTALE", "EIO", "EINDOUBT"];
const SPAWNS_MAX = 100;

let runs = 0;

/** Runs once over a server, in a schema of its own. `tell` hears how far it is. */
export async function chaos(
  server: Server,
  extent: Extent,
  tell: (what: string) => void = () => {},
): Promise<Outcome> {
  const schema = `libos_chaos_${Deno.pid}_${runs += 1}`;
  const { seed, nodes, leaseMs } = extent;
  const fleet = { url: server.url, schema, leaseMs };
  await using recorder = new Recorder(seed);
  await using stack = new AsyncDisposableStack();
  const members = Array.from(
    { length: nodes },
    (_, i) => stack.use(new Member(`node-${i + 1}`, fleet)),
  );
  await Promise.all(members.map((member) => member.start()));
  const mute = members.find(({ id }) => id === null);
  if (mute !== undefined) throw new Error(`"${mute.name}" does not start: ${mute.said}`);
  const store = await PostgresStore.open(server.url, { schema, connections: 2 });
  stack.defer(() => store.close());
  const watch = await Watch.begin(server.url, schema);
  stack.defer(() => watch.close());
  const trees = await spawned(members, recorder.origin, extent);
  tell(`${trees.length} trees on ${nodes} nodes`);
  const history = new History();
  const scene = { members, trees, store, history, watch };
  return await run({ ...scene, server, recorder, extent, tell });
}

/** Starts all trees, at whatever node answers. */
async function spawned(
  members: readonly Member[],
  origin: string,
  { trees, pauseMs }: Extent,
): Promise<TreeId[]> {
  const found: TreeId[] = [];
  const lanes = members.map(async (_, i) => {
    for (let n = i; n < trees; n += members.length) {
      found.push(await spawn(members.slice(i).concat(members.slice(0, i)), { origin, n, pauseMs }));
    }
  });
  await Promise.all(lanes);
  return found;
}

/** Starts a tree. A node that lost its lease refuses: its key lets another one be asked. */
async function spawn(members: readonly Member[], told: Told): Promise<TreeId> {
  let heard: Heard = { how: "gone" };
  for (let n = 0; n < SPAWNS_MAX; n++) {
    const member = members[n % members.length]!;
    heard = await member.ask({ do: "spawn", told });
    if (heard.how === "value") return treeOf(heard.value as string);
    if (heard.how === "code" && !LAPSED.includes(heard.code)) break;
    await realClock.sleep(100);
  }
  throw new Error(`No tree: ${JSON.stringify(heard)} ${members.map(({ said }) => said).join(" ")}`);
}

interface Running {
  readonly members: readonly Member[];
  readonly trees: readonly TreeId[];
  readonly store: PostgresStore;
  readonly history: History;
  readonly watch: Watch;
  readonly server: Server;
  readonly recorder: Recorder;
  readonly extent: Extent;
  tell(what: string): void;
}

async function run(running: Running): Promise<Outcome> {
  const { members, trees, store, history, server, recorder, watch, extent, tell } = running;
  const { seed, leaseMs, gapMs, chaosMs } = extent;
  const clients = new Clients({
    ...{ members, trees, store, history, gapMs: gapMs.acts },
    random: new SeededRandom(seed + 1),
  });
  const over = AbortSignal.timeout(chaosMs);
  const target = { members, server, leaseMs, gapMs: gapMs.faults };
  const tormented = torment({ ...target, random: new SeededRandom(seed) }, over);
  const acting = [
    ...Array.from({ length: extent.clients }, () => clients.act(over)),
    clients.answer(over),
  ];
  const done = new AbortController();
  const watching = Promise.all(members.map((member) => watch.ask(member, done.signal)));
  // What fails there fails here, and is not left for nobody.
  const [faults] = await Promise.all([tormented, ...acting]);
  const shares = sharesOf(trees, recorder);
  recorder.isCalm = true;
  tell(`calm after ${JSON.stringify(faults)}`);
  const left = await clients.end(extent.calmMs, tell);
  const violations = await Promise.all(left.map((tree) => unended(tree, running)));
  done.abort();
  await watching;
  // Who has not answered by now never will.
  for (const member of members) await member.kill();
  await clients.settled();
  const evidence = { store, trees, recorder, watch, invocations: history.all };
  const judged = await judge({ ...evidence, leaseMs, pauseMs: extent.pauseMs });
  const fair = fairness(shares);
  if (fair < extent.fair) {
    violations.push(`not fair: ${fair.toFixed(2)}, from ${Math.min(...shares)} on`);
  }
  if (clients.forged.taken > 0) violations.push("a commit of an epoch that is over was taken");
  const acts = history.all.filter(({ kind }) => kind === "act");
  const count = (how: string): number => acts.filter((one) => one.how === how).length;
  return {
    ...judged,
    violations: [...violations, ...judged.violations],
    faults,
    acts: { ok: count("ok"), refused: count("refused"), unknown: count("unknown") },
    reads: history.all.length - acts.length,
    forged: clients.forged,
    fairness: fair,
    shares: [Math.min(...shares), Math.max(...shares)],
  };
}

function sharesOf(trees: readonly TreeId[], { arrived }: Recorder): number[] {
  const shares = new Map(trees.map((tree) => [tree, 0]));
  for (const path of arrived.keys()) {
    const tree = treeOf(path.split("/")[1]!);
    shares.set(tree, (shares.get(tree) ?? 0) + 1);
  }
  return [...shares.values()];
}

/** Why a tree lives still, as far as anybody knows. */
async function unended(tree: TreeId, { members, store }: Running): Promise<string> {
  const head = await store.head(tree);
  const said: string[] = [];
  const last: string[] = [];
  for await (const { seq, type } of readLines(store, tree)) last.push(`${seq} ${type}`);
  for (const member of members) {
    const wait = realClock.sleep(2_000).then(() => ({ how: "gone" } as const));
    const heard = await Promise.race([member.ask({ do: "broken" }), wait]);
    if (heard.how !== "value") continue;
    const broken = heard.value as { readonly tree: TreeId; readonly message: string }[];
    said.push(...broken.filter((one) => one.tree === tree).map(({ message }) => message));
  }
  const lines = last.slice(-4).join(", ");
  return `${tree} does not end: ${JSON.stringify(head)}, last ${lines} ${said.join("; ")}`;
}
