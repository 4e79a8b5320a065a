/**
 * Cages under load: many calls a second, what the kernel's loop suffers, and what memory it takes.
 * @module
 */

import process from "node:process";
import { ADD, type Brood, onRuntime, pause, standOf, type ToolCall } from "./cage_stand.ts";
import { infoRow, numberRow, type Row, timed, times } from "./measure.ts";

const TOOLS = 4;
/** A little more than is asked for, so that the end of a window does not decide. */
const RATE = 304;
const RATE_MIN = 300;
const WARM_MS = 1_500;
const WINDOW_MS = 6_000;
/** A step makes 4,096 calls at most: each call of a tool is three. */
const LONG_MS = 12_000;
const LAG_STEP_MS = 2;
const LAG_MS_MAX = 10;
const PSS_MAX = 25;
const KIB_PER_MIB = 1_024;

interface Load {
  readonly calls: readonly number[];
  readonly lags: readonly number[];
  readonly seconds: number;
  /** Processor time of this process, and of its cages; null where the system does not tell. */
  readonly ownCpuMs: number;
  readonly cageCpuMs: number | null;
  readonly pssBefore: readonly number[];
  readonly pss: readonly number[];
}

/** How late timers of this isolate are, until `signal` is aborted. */
async function lagOf(signal: AbortSignal): Promise<number[]> {
  const lags: number[] = [];
  while (!signal.aborted) {
    const took = await timed(() => pause(LAG_STEP_MS));
    lags.push(Math.max(0, took - LAG_STEP_MS));
  }
  return lags;
}

function p99Of(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * 0.99)] ?? NaN;
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** Proportional memory of each cage in MiB; empty where the system does not tell. */
function pssOf(brood: Brood): number[] {
  const found: number[] = [];
  for (const { pid } of brood.alive) {
    try {
      const text = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
      found.push(Number(/^Pss:\s+(\d+) kB/m.exec(text)![1]) / KIB_PER_MIB);
    } catch {
      // It ended in between, or there is no /proc.
    }
  }
  return found;
}

async function measure(ms: number): Promise<Load> {
  const stand = standOf("process", true);
  await stand.rest();
  const pssBefore = pssOf(stand.brood);
  const calls: number[] = [];
  let lags: number[] = [];
  let cpu = { own: 0, cages: 0 as number | null };
  let seconds = 0;
  let pss: number[] = [];
  const stop = new AbortController();
  const begun = Promise.withResolvers<void>();
  let isCounting = false;
  const count = async (): Promise<void> => {
    await pause(WARM_MS);
    const before = { own: ownCpuMs(), cages: stand.brood.cpuMs() };
    isCounting = true;
    const end = new AbortController();
    const lagging = lagOf(end.signal);
    seconds = await timed(() => pause(ms)) / 1_000;
    isCounting = false;
    const cages = stand.brood.cpuMs();
    cpu = {
      own: ownCpuMs() - before.own,
      cages: cages === null || before.cages === null ? null : cages - before.cages,
    };
    end.abort();
    lags = await lagging;
    pss = pssOf(stand.brood);
    stop.abort();
  };
  const user = (which: number) => async (call: ToolCall): Promise<void> => {
    await call();
    if (which === 0) begun.resolve();
    await begun.promise;
    // Each at its own times; who is late does not catch up more than it has missed.
    const stepMs = 1_000 * TOOLS / RATE;
    let due = performance.now() + which * stepMs / TOOLS;
    for (; !stop.signal.aborted; due += stepMs) {
      await pause(Math.max(0, due - performance.now()));
      const took = await timed(call);
      if (isCounting) calls.push(took);
    }
  };
  const users = Array.from({ length: TOOLS }, (_, which) => user(which));
  await Promise.all([onRuntime(stand.sandbox, ADD, users), begun.promise.then(count)]);
  return { calls, lags, seconds, ownCpuMs: cpu.own, cageCpuMs: cpu.cages, pssBefore, pss };
}

/** Rows about memory; none where the system does not tell. */
function memoryRows({ pss, pssBefore }: Load): Row[] {
  const row = (what: string, found: readonly number[]): Row[] =>
    found.length === 0
      ? []
      : [numberRow(what, Math.max(...found), { atMost: PSS_MAX, unit: "MB PSS" })];
  return [
    ...row("the largest cage, started and not used", pssBefore),
    ...row("the largest cage after some hundred calls", pss),
  ];
}

/** Calls from four processes at a steady rate for some seconds, through the whole door. */
export async function loadRows(long: boolean): Promise<Row[]> {
  const idle = new AbortController();
  const idling = lagOf(idle.signal);
  await pause(2_000);
  idle.abort();
  const idleP99 = p99Of(await idling);
  const load = await measure(long ? LONG_MS : WINDOW_MS);
  const lag = numberRow("the same: lag of the kernel's loop, p99", p99Of(load.lags), {
    atMost: LAG_MS_MAX,
    unit: "ms",
  });
  const each = (ms: number): number => ms / load.calls.length;
  const rows = [
    numberRow(
      `tool.call of ${TOOLS} tools, ${RATE} wanted: calls a second`,
      load.calls.length / load.seconds,
      { atLeast: RATE_MIN, unit: "/s" },
    ),
    infoRow("the same: each call", times(load.calls)),
    { ...lag, raw: `${idleP99.toFixed(2)} ms (idle)` },
    infoRow("the same: processor time of the kernel, a call", times([each(load.ownCpuMs)])),
  ];
  if (load.cageCpuMs !== null) {
    const cages = times([each(load.cageCpuMs)]);
    rows.push(infoRow("the same: processor time of the cages, a call", cages));
  }
  return [...rows, ...memoryRows(load)];
}
