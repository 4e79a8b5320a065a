/**
 * Where the bars of a timeline stand: one after another in the order in which they began, as far
 * apart as they were in time, within bounds. What was a week is as wide as what was a minute, and
 * says so.
 * @module
 */

import type { BarView } from "../schema/evidence.ts";

/** A lane. */
export type Lane = BarView["lane"];
/** The lanes, from the top. */
export const LANES: readonly Lane[] = ["model", "syscalls", "tools", "people", "children"];

/** A bar and where it is. */
export interface Placed {
  readonly lane: Lane;
  readonly bar: BarView;
  readonly x: number;
  readonly end: number;
}

/** A stretch of time that is not drawn as long as it was. */
export interface Break {
  readonly x: number;
  readonly ms: number;
}

/** A timeline that is laid out. */
export interface Layout {
  readonly placed: readonly Placed[];
  readonly breaks: readonly Break[];
  readonly ticks: readonly { readonly x: number; readonly at: string }[];
  readonly width: number;
}

/** Pixels from one bar to the next at least, by how near one looks. */
export const STEPS = [4, 8, 14, 22, 36, 60, 100] as const;
/** Milliseconds that the least distance stands for. */
const STEP_MS = 20;
/** How many times the least distance two bars are apart at most. */
const STEPS_MAX = 8;
/** A shorter stretch of time is not told of. */
const BREAK_MS = 10_000;
const TICK_PX = 130;
const EDGE_PX = 16;

/** Lays a timeline out. */
export function layout(bars: readonly BarView[], step: number): Layout {
  const all = bars.map((bar) => ({ lane: bar.lane, bar }))
    .sort((a, b) => a.bar.seq - b.bar.seq);
  const most = step * STEPS_MAX;
  const breaks: Break[] = [];
  const ticks: { x: number; at: string }[] = [];
  const starts: { readonly ms: number; readonly x: number }[] = [];
  let x = EDGE_PX;
  for (const { bar } of all) {
    const ms = Date.parse(bar.from);
    const before = starts.at(-1);
    if (before !== undefined) {
      const gapMs = Math.max(0, ms - before.ms);
      const wide = Math.max(step, gapMs / STEP_MS * step);
      if (wide > most && gapMs >= BREAK_MS) breaks.push({ x: x + most / 2, ms: gapMs });
      x += Math.min(most, wide);
    }
    starts.push({ ms, x });
    if (ticks.length === 0 || x - ticks.at(-1)!.x >= TICK_PX) ticks.push({ x, at: bar.from });
  }
  const width = x + most / 2 + EDGE_PX;
  return {
    placed: all.map((one, i) => {
      const end = one.bar.to === null ? width - EDGE_PX : placeOf(Date.parse(one.bar.to), starts);
      return { ...one, x: starts[i]!.x, end: Math.max(starts[i]!.x, end) };
    }),
    breaks,
    ticks,
    width,
  };

  function placeOf(ms: number, known: typeof starts): number {
    let low = 0;
    let high = known.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      // What began when it was over is not what went on meanwhile.
      if (known[middle]!.ms < ms) low = middle + 1;
      else high = middle;
    }
    const before = known[Math.max(0, low - 1)]!;
    const free = (known[low]?.x ?? width - EDGE_PX) - before.x;
    return before.x + Math.min(free, (ms - before.ms) / STEP_MS * step);
  }
}

/** The bar that a key leads to: along its lane, or to the nearest one of another lane. */
export function neighbour(
  placed: readonly Placed[],
  from: Placed,
  key: string,
): Placed | undefined {
  const lane = placed.filter((one) => one.lane === from.lane);
  const at = lane.indexOf(from);
  switch (key) {
    case "ArrowRight":
      return lane[at + 1];
    case "ArrowLeft":
      return lane[at - 1];
    case "Home":
      return lane[0];
    case "End":
      return lane.at(-1);
    case "ArrowUp":
    case "ArrowDown": {
      const step = key === "ArrowUp" ? -1 : 1;
      for (let i = LANES.indexOf(from.lane) + step; LANES[i] !== undefined; i += step) {
        const others = placed.filter((one) => one.lane === LANES[i]);
        if (others.length > 0) return nearest(others, from.x);
      }
    }
  }
  return undefined;
}

function nearest(all: readonly Placed[], x: number): Placed {
  return all.reduce((best, one) => Math.abs(one.x - x) < Math.abs(best.x - x) ? one : best);
}
