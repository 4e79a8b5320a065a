/**
 * Measuring: times in milliseconds, their median and 95th percentile, and rows of the report.
 * @module
 */

/** What a set of times comes to, in milliseconds. */
export interface Times {
  readonly median: number;
  readonly p95: number;
  readonly p99: number;
  readonly count: number;
}

/** One line of the report: a number that the kernel is held to, and what was measured. */
export interface Row {
  readonly what: string;
  /** What is to be reached, in words; "" for a figure that only informs. */
  readonly target: string;
  readonly measured: string;
  readonly p95: string;
  /** What the same run cost raw, when the target is a ratio. */
  readonly raw: string;
  readonly ratio: string;
  /** null for a figure that only informs. */
  readonly met: boolean | null;
}

/** A section of the report. */
export interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
  /** Sentences under the table. */
  readonly notes: readonly string[];
}

/** How much is measured. */
export interface Extent {
  /** Whether the long forms are run as well. */
  readonly long: boolean;
  /** A folder on a real disk, removed afterwards. */
  readonly folder: string;
}

/** Median and 95th percentile of times. */
export function times(samples: readonly number[]): Times {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (part: number): number => sorted[Math.floor((sorted.length - 1) * part)] ?? NaN;
  return { median: at(0.5), p95: at(0.95), p99: at(0.99), count: sorted.length };
}

/** How long a job took, in milliseconds. */
export async function timed(job: () => unknown): Promise<number> {
  const start = performance.now();
  await job();
  return performance.now() - start;
}

/** A time in the unit that shows it best. */
export function shown(ms: number): string {
  if (ms < 1) return `${(ms * 1_000).toPrecision(3)} µs`;
  return ms < 1_000 ? `${ms.toPrecision(3)} ms` : `${(ms / 1_000).toPrecision(3)} s`;
}

/** A row whose target is a time. */
export function timeRow(what: string, measured: Times, targetMs: number): Row {
  return {
    ...infoRow(what, measured),
    target: `≤ ${shown(targetMs)}`,
    met: measured.median <= targetMs,
  };
}

/** A row whose target is a ratio to what the same run cost raw. */
export function ratioRow(what: string, measured: Times, against: {
  readonly raw: Times;
  readonly ratioMax: number;
}): Row {
  const ratio = measured.median / against.raw.median;
  return {
    ...infoRow(what, measured),
    target: `≤ ${against.ratioMax} × raw`,
    raw: shown(against.raw.median),
    ratio: ratio.toFixed(2),
    met: ratio <= against.ratioMax,
  };
}

/** A time, and the raw one that was taken right beside it. */
export interface Pair {
  readonly ms: number;
  readonly rawMs: number;
}

/** A row whose target is a ratio to a raw cost that was measured by turns: the median of ratios. */
export function pairedRow(what: string, pairs: readonly Pair[], ratioMax: number | null): Row {
  const ratio = times(pairs.map(({ ms, rawMs }) => ms / rawMs)).median;
  return {
    ...infoRow(what, times(pairs.map(({ ms }) => ms))),
    target: ratioMax === null ? "" : `≤ ${ratioMax} × raw`,
    raw: shown(times(pairs.map(({ rawMs }) => rawMs)).median),
    ratio: ratio.toFixed(2),
    met: ratioMax === null ? null : ratio <= ratioMax,
  };
}

/** A row whose target is a plain number, at most or at least. */
export function numberRow(what: string, value: number, target: {
  readonly atMost?: number;
  readonly atLeast?: number;
  readonly unit: string;
}): Row {
  const { atMost, atLeast, unit } = target;
  const digits = value < 100 ? value.toFixed(2) : Math.round(value).toLocaleString("en");
  const bound = atMost ?? atLeast;
  return {
    what,
    target: bound === undefined
      ? ""
      : `${atMost === undefined ? "≥" : "≤"} ${bound.toLocaleString("en")} ${unit}`.trim(),
    measured: `${digits} ${unit}`.trim(),
    p95: "",
    raw: "",
    ratio: "",
    met: atMost !== undefined ? value <= atMost : atLeast !== undefined ? value >= atLeast : null,
  };
}

/** A row that only informs. */
export function infoRow(what: string, measured: Times): Row {
  return {
    what,
    target: "",
    measured: shown(measured.median),
    p95: shown(measured.p95),
    raw: "",
    ratio: "",
    met: null,
  };
}
