/**
 * Plots of what was spent, called and refused over time; each as a table, too.
 * @module
 */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { SeriesView } from "../schema/evidence.ts";
import { amountOf } from "./amounts.tsx";
import { Choice } from "./forms.tsx";
import { Table } from "./lists.tsx";
import { useRead } from "./live.ts";
import { Problem } from "./parts.tsx";
import { visible } from "./words.ts";

const NAMES = [
  ["usd", "US dollars", "usd"],
  ["tokens", "Tokens", "tokens"],
  ["calls", "Calls", "calls"],
  ["denials", "Refused calls, by right", "calls"],
  ["personWaitMs", "Time waited for people", "waitMs"],
] as const;
const SPANS = [
  ["3600000", "the last hour"],
  ["21600000", "the last 6 hours"],
  ["86400000", "the last day"],
] as const;
/** Bars of a plot. */
const BARS = 60;
/** Rows of a plot that have a colour of their own. */
const SHOWN = 5;
const EVERY_MS = 10_000;

/** All of them. */
export function Plots(): JSX.Element {
  const [spanMs, setSpan] = useState("3600000");
  return (
    <section aria-label="Over time">
      <div class="filters">
        <Choice name="Over" value={spanMs} set={setSpan} options={SPANS} />
      </div>
      <div class="cols">
        {NAMES.map(([name, title, kind]) => (
          <Plot key={name} name={name} title={title} kind={kind} spanMs={Number(spanMs)} />
        ))}
      </div>
    </section>
  );
}

interface Row {
  readonly key: string;
  readonly points: readonly number[];
}

function Plot({ name, title, kind, spanMs }: {
  readonly name: string;
  readonly title: string;
  readonly kind: string;
  readonly spanMs: number;
}): JSX.Element {
  const stepMs = Math.max(60_000, spanMs / BARS);
  const { data, error, again } = useRead<SeriesView>(
    `/v1/series?name=${name}&stepMs=${stepMs}&spanMs=${spanMs}`,
  );
  useEffect(() => {
    const timer = setInterval(again, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <figure class="card plot">
      <figcaption>{title}</figcaption>
      {error !== undefined && <Problem error={error} />}
      {data === undefined
        ? <div class="plot-space" />
        : <Bars series={data} rows={rowsOf(data)} kind={kind} title={title} />}
    </figure>
  );
}

/** The largest rows, and the others in one. */
function rowsOf({ rows }: SeriesView): readonly Row[] {
  const sum = ({ points }: Row): number => points.reduce((total, value) => total + value, 0);
  const sorted = [...rows].sort((a, b) => sum(b) - sum(a)).filter((row) => sum(row) > 0);
  const rest = sorted.slice(SHOWN);
  if (rest.length === 0) return sorted;
  const points = rest[0]!.points.map((_, i) =>
    rest.reduce((total, row) => total + (row.points[i] ?? 0), 0)
  );
  return [...sorted.slice(0, SHOWN), { key: `${rest.length} others`, points }];
}

interface Drawn {
  readonly series: SeriesView;
  readonly rows: readonly Row[];
  readonly kind: string;
  readonly title: string;
}

function Bars({ series, rows, kind, title }: Drawn): JSX.Element {
  const count = rows[0]?.points.length ?? 0;
  const sums = Array.from(
    { length: count },
    (_, i) => rows.reduce((total, { points }) => total + (points[i] ?? 0), 0),
  );
  const top = Math.max(0, ...sums);
  const total = sums.reduce((all, value) => all + value, 0);
  if (top === 0) return <p class="plot-space dim">Nothing in this time.</p>;
  const said = `${title}: ${amountOf(kind, total)} in all, ${amountOf(kind, top)} at most in ${
    minutes(series.stepMs)
  }`;
  return (
    <>
      <div class="plot-box">
        <span class="plot-top">{amountOf(kind, top)}</span>
        <span class="plot-zero">0</span>
        <svg viewBox={`0 0 ${count} 100`} preserveAspectRatio="none" role="img" aria-label={said}>
          {[0, 50, 100].map((y) => <line key={y} class="grid" x1={0} x2={count} y1={y} y2={y} />)}
          {sums.map((_, i) => <Stack key={i} at={i} rows={rows} top={top} />)}
        </svg>
        <span class="plot-from">{clockOf(series.from, 0)}</span>
        <span class="plot-to">{clockOf(series.from, count * series.stepMs)}</span>
      </div>
      {rows.length > 1 && (
        <ul class="legend">
          {rows.map(({ key }, i) => (
            <li key={key}>
              <span class={`swatch s${i}`} aria-hidden="true" /> {visible(key)}
            </li>
          ))}
        </ul>
      )}
      <Numbers series={series} rows={rows} kind={kind} title={title} />
    </>
  );
}

function Stack({ at, rows, top }: {
  readonly at: number;
  readonly rows: readonly Row[];
  readonly top: number;
}): JSX.Element {
  let base = 100;
  return (
    <>
      {rows.map(({ key, points }, i) => {
        const height = (points[at] ?? 0) / top * 100;
        base -= height;
        return height === 0
          ? null
          : <rect key={key} class={`s${i}`} x={at + 0.1} y={base} width={0.8} height={height} />;
      })}
    </>
  );
}

/** The same as a table. */
function Numbers({ series, rows, kind, title }: Drawn): JSX.Element {
  const steps = (rows[0]?.points ?? []).map((_, i) => i)
    .filter((i) => rows.some(({ points }) => (points[i] ?? 0) > 0));
  return (
    <details>
      <summary>As a table</summary>
      <Table label={title} heads={["From", ...rows.map(({ key }) => visible(key) || "All")]}>
        {steps.map((i) => (
          <tr key={i}>
            <td>{clockOf(series.from, i * series.stepMs)}</td>
            {rows.map(({ key, points }) => <td key={key}>{amountOf(kind, points[i] ?? 0)}</td>)}
          </tr>
        ))}
      </Table>
    </details>
  );
}

function clockOf(from: string, afterMs: number): string {
  return new Date(Date.parse(from) + afterMs).toTimeString().slice(0, 5);
}

function minutes(ms: number): string {
  return ms === 60_000 ? "a minute" : `${Math.round(ms / 60_000)} minutes`;
}
