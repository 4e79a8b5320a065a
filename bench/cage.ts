/**
 * Cages: what a call of a generated tool costs, beside the same code with fewer walls or none.
 * @module
 */

import { loadRows } from "./cage_load.ts";
import { BareChild, BareWorker, inVm } from "./cage_peers.ts";
import { portRows } from "./cage_port.ts";
import { ADD, freshTenant, onRuntime, pause, play, runOf, standOf } from "./cage_stand.ts";
import type { Extent, Section, Times } from "./measure.ts";
import { infoRow, type Row, timed, timeRow, times } from "./measure.ts";

const ROUNDS = 14;
const REPEATS = 24;
/** Between calls that do not come one right after another. */
const GAP_MS = 10;
const FIRST_MS = 20;
const REPEATED_MS = 3;
const COLD_MS = 150;

/** Which calls are told apart. */
type Kind =
  | "first"
  | "repeated"
  | "rushed"
  | "cold"
  | "doorFirst"
  | "doorRepeated"
  | "doorRushed"
  | "doorCold"
  | "workerFirst"
  | "workerRepeated"
  | "workerCold"
  | "bareWorker"
  | "bareWorkerAgain"
  | "bareChild"
  | "bareChildAgain"
  | "vm";
type Note = (kind: Kind, ms: number) => void;

interface Repeated {
  readonly first: Kind;
  readonly repeated: Kind;
  /** Those that come as soon as the one before has answered. */
  readonly rushed: Kind | null;
  readonly rest: () => Promise<void>;
}

/** The first call, and more of the same; between them the pool comes to rest. */
async function repeat(note: Note, call: () => Promise<void>, kinds: Repeated): Promise<void> {
  await kinds.rest();
  note(kinds.first, await timed(call));
  await kinds.rest();
  for (let i = 0; i < REPEATS; i++) {
    note(kinds.repeated, await timed(call));
    await pause(GAP_MS);
  }
  if (kinds.rushed === null) return;
  for (let i = 0; i < REPEATS; i++) note(kinds.rushed, await timed(call));
}

async function processTier(note: Note): Promise<void> {
  await using stand = standOf("process", true);
  const tenant = freshTenant();
  await repeat(note, () => play(stand.sandbox, runOf(tenant, ADD)), {
    first: "first",
    repeated: "repeated",
    rushed: "rushed",
    rest: stand.rest,
  });
  await using other = standOf("process", true);
  await onRuntime(other.sandbox, ADD, [(call) =>
    repeat(note, call, {
      first: "doorFirst",
      repeated: "doorRepeated",
      rushed: "doorRushed",
      rest: other.rest,
    })]);
}

/** With nothing of an earlier call left that could be at work. */
async function cold(note: Note): Promise<void> {
  {
    await using stand = standOf("process", false);
    note("cold", await timed(() => play(stand.sandbox, runOf(freshTenant(), ADD))));
  }
  const stand = standOf("process", false);
  await onRuntime(stand.sandbox, ADD, [async (call) => note("doorCold", await timed(call))]);
}

async function workerTier(note: Note): Promise<void> {
  await using stand = standOf("worker", true);
  const tenant = freshTenant();
  await repeat(note, () => play(stand.sandbox, runOf(tenant, ADD)), {
    first: "workerFirst",
    repeated: "workerRepeated",
    rushed: null,
    rest: stand.rest,
  });
  await using other = standOf("worker", false);
  note("workerCold", await timed(() => play(other.sandbox, runOf(freshTenant(), ADD))));
}

async function peers(note: Note): Promise<void> {
  const worker: BareWorker[] = [];
  note("bareWorker", await timed(() => worker[worker.push(new BareWorker()) - 1]!.call()));
  const child: BareChild[] = [];
  note("bareChild", await timed(() => child[child.push(new BareChild()) - 1]!.call()));
  for (let i = 0; i < REPEATS; i++) {
    note("bareWorkerAgain", await timed(() => worker[0]!.call()));
    note("bareChildAgain", await timed(() => child[0]!.call()));
    note("vm", await timed(inVm));
    await pause(GAP_MS);
  }
  worker[0]![Symbol.dispose]();
  await child[0]![Symbol.asyncDispose]();
}

/** A row with what it is held against, which decides nothing. */
function beside(row: Row, measured: Times, peer: { readonly name: string; readonly of: Times }) {
  const { name, of } = peer;
  const ratio = (measured.median / of.median).toFixed(2);
  return { ...row, raw: `${of.median.toPrecision(3)} ms (${name})`, ratio };
}

/** All calls, in rounds, so that what disturbs one disturbs all. */
async function callRows(): Promise<Row[]> {
  const all = new Map<Kind, number[]>();
  for (let round = -1; round < ROUNDS; round++) {
    const note: Note = (kind, ms) => {
      if (round >= 0) all.getOrInsertComputed(kind, () => []).push(ms);
    };
    await processTier(note);
    await cold(note);
    await peers(note);
    await workerTier(note);
  }
  const at = (kind: Kind): Times => times(all.get(kind)!);
  const row = (what: string, kind: Kind, targetMs: number, peer: readonly [string, Kind]) =>
    beside(timeRow(what, at(kind), targetMs), at(kind), { name: peer[0], of: at(peer[1]) });
  const info = (what: string, kind: Kind) => infoRow(what, at(kind));
  const worker = ["bare Worker", "bareWorker"] as const;
  const vm = ["vm alone", "vm"] as const;
  const child = ["bare child", "bareChild"] as const;
  return [
    row("sandbox: first call, warm pool", "first", FIRST_MS, worker),
    row("sandbox: repeated call", "repeated", REPEATED_MS, vm),
    row("sandbox: repeated, one right after another", "rushed", REPEATED_MS, vm),
    row("sandbox: cold, no cage at all", "cold", COLD_MS, child),
    row("tool.call: first call, warm pool", "doorFirst", FIRST_MS, worker),
    row("tool.call: repeated call", "doorRepeated", REPEATED_MS, vm),
    row("tool.call: repeated, one right after another", "doorRushed", REPEATED_MS, vm),
    row("tool.call: cold, no cage at all", "doorCold", COLD_MS, child),
    info("worker tier: first call, warm pool", "workerFirst"),
    info("worker tier: repeated call", "workerRepeated"),
    info("worker tier: cold", "workerCold"),
    info("peer: bare Worker, start and call", "bareWorker"),
    info("peer: bare Worker, called again, same realm", "bareWorkerAgain"),
    info("peer: bare deno run child, start and call", "bareChild"),
    info("peer: bare deno run child, called again, same realm", "bareChildAgain"),
    info("peer: node:vm alone, fresh context, module and call", "vm"),
  ];
}

/** What generated tools cost. */
export async function cage({ long }: Extent): Promise<Section> {
  const rows = [...await callRows(), ...await portRows(), ...await loadRows(long)];
  const hasMemory = rows.some(({ what }) => what.startsWith("the largest cage"));
  return {
    title: "Cages: calls of generated tools",
    rows,
    notes: [
      "The tool adds one to a number. Every call has a fresh realm; first calls take a cage that " +
      "has started and that no tenant has had. tool.call is the whole door on the memory store: " +
      "intent, clock, chance, run, outcome. Repeated calls come 10 ms apart unless said.",
      ...(hasMemory ? [] : ["Memory of cages is not known here: there is no /proc."]),
    ],
  };
}
