/**
 * A process's timeline: what it did, in lanes; each bar opens what there is to know of it.
 *
 * Invariants:
 *   T1. Colour is never the only sign: what was allowed is a bar, what was asked a diamond, what
 *       was denied a cross; what failed is hollow.
 *   T2. Only the bars that can be seen are there.
 * @module
 */

import type { JSX } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { BarView } from "../../schema/evidence.ts";
import type { ProcessView } from "../../schema/process.ts";
import type { Who } from "../api.ts";
import { usePages } from "../paged.ts";
import { Empty, Problem } from "../parts.tsx";
import { LANES, type Layout, layout, neighbour, type Placed, STEPS } from "../timeline.ts";
import { spanOf, timeOf, visible } from "../words.ts";
import { CallPanel } from "./process_call.tsx";

const LANE_PX = 34;
const AXIS_PX = 24;
/** Pixels beyond what can be seen, to both sides. */
const SPARE_PX = 600;
const MARK = 6;
const BARS_A_PAGE = 500;

/** The timeline and, beside it, what was chosen. */
export function Timeline({ process, who }: {
  readonly process: ProcessView;
  readonly who: Who;
}): JSX.Element {
  const { pid, tree } = process;
  const { items, error, hasMore, more } = usePages<BarView>(
    `/v1/processes/${pid}/timeline`,
    (event) => event.tree === tree && event.kind !== "process.text",
    BARS_A_PAGE,
  );
  const [zoom, setZoom] = useState(3);
  const [at, setAt] = useState<number | null>(null);
  const [open, setOpen] = useState<number | null>(null);
  const laid = useMemo(
    () => items === undefined ? undefined : layout(items, STEPS[zoom]!),
    [items, zoom],
  );
  if (error !== undefined && laid === undefined) return <Problem error={error} />;
  if (laid === undefined) return <p class="dim">Reading…</p>;
  if (laid.placed.length === 0 && !hasMore) return <Empty>It has done nothing yet.</Empty>;
  const chosen = laid.placed.find(({ bar }) => bar.seq === open);
  const nearer = (by: 1 | -1): void => setZoom(Math.max(0, Math.min(STEPS.length - 1, zoom + by)));
  const close = (): void => {
    setOpen(null);
    document.querySelector<SVGElement>(`[data-seq="${open}"]`)?.focus();
  };
  return (
    <>
      <div class="row">
        <button type="button" onClick={() => nearer(-1)} disabled={zoom === 0}>Farther</button>
        <button type="button" onClick={() => nearer(1)} disabled={zoom === STEPS.length - 1}>
          Nearer
        </button>
        <Legend />
        {hasMore && <button type="button" onClick={more}>Earlier ones</button>}
      </div>
      {laid.placed.length > 0 && <Chart {...{ laid, at, setAt, setOpen, nearer }} />}
      {chosen !== undefined && <CallPanel key={open} {...{ process, who, chosen, close }} />}
    </>
  );
}

function Legend(): JSX.Element {
  return (
    <span class="legend">
      {(["allow", "ask", "deny"] as const).map((decision) => (
        <span key={decision}>
          <svg width="16" height="16" aria-hidden="true" class={`mark ${decision}`}>
            <Mark decision={decision} x={8} y={8} />
          </svg>
          {{ allow: "allowed", ask: "a person was asked", deny: "denied" }[decision]}
        </span>
      ))}
      <span>hollow: it failed</span>
    </span>
  );
}

function Mark({ decision, x, y }: {
  readonly decision: string;
  readonly x: number;
  readonly y: number;
}): JSX.Element {
  if (decision === "ask") {
    const r = MARK + 1;
    return <path d={`M${x} ${y - r}l${r} ${r}l${-r} ${r}l${-r} ${-r}z`} />;
  }
  if (decision === "deny") {
    const r = MARK - 1;
    return (
      <path
        class="cross"
        d={`M${x - r} ${y - r}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}`}
      />
    );
  }
  return <rect x={x - MARK + 1} y={y - MARK} width={2 * MARK - 2} height={2 * MARK} rx={2} />;
}

/** What can be seen of something wide, which stays at its end when it is there. */
function useSight(width: number, first: number): {
  readonly scroller: { readonly current: HTMLDivElement | null };
  readonly onScroll: () => void;
  readonly left: number;
} {
  const scroller = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const [left, setLeft] = useState(0);
  const was = useRef({ width, first });
  const onScroll = (): void => {
    const { scrollLeft, clientWidth, scrollWidth } = scroller.current!;
    isAtEnd.current = scrollLeft + clientWidth > scrollWidth - 40;
    // By whole steps, so that scrolling a little draws nothing anew.
    setLeft(Math.floor(scrollLeft / (SPARE_PX / 2)) * (SPARE_PX / 2));
  };
  useLayoutEffect(() => {
    const before = was.current;
    was.current = { width, first };
    if (scroller.current === null) return;
    if (isAtEnd.current) scroller.current.scrollLeft = scroller.current.scrollWidth;
    // Earlier ones came: what was looked at stays where it is.
    else if (first < before.first) scroller.current.scrollLeft += width - before.width;
    else return;
    onScroll();
  }, [width, first]);
  return { scroller, onScroll, left };
}

function Chart({ laid, at, setAt, setOpen, nearer }: {
  readonly laid: Layout;
  readonly at: number | null;
  readonly setAt: (seq: number) => void;
  readonly setOpen: (seq: number) => void;
  readonly nearer: (by: 1 | -1) => void;
}): JSX.Element {
  const { scroller, onScroll, left } = useSight(laid.width, laid.placed[0]!.bar.seq);
  const right = left + (globalThis.innerWidth || 1_200) + SPARE_PX;
  const here = laid.placed.find(({ bar }) => bar.seq === at) ?? laid.placed.at(-1)!;
  const seen = laid.placed.filter((one) =>
    one === here || (one.end >= left - SPARE_PX && one.x <= right)
  );
  const goal = useRef<number | null>(null);
  useLayoutEffect(() => {
    if (goal.current !== here.bar.seq) return;
    goal.current = null;
    const mark = scroller.current?.querySelector<SVGElement>(`[data-seq="${here.bar.seq}"]`);
    mark?.focus();
    mark?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [at]);
  const pressed = (event: KeyboardEvent): void => {
    const next = neighbour(laid.placed, here, event.key);
    if (next !== undefined) {
      goal.current = next.bar.seq;
      setAt(next.bar.seq);
    } else if (event.key === "Enter" || event.key === " ") setOpen(here.bar.seq);
    else if (event.key === "+" || event.key === "-") nearer(event.key === "+" ? 1 : -1);
    else if (!event.key.startsWith("Arrow")) return;
    event.preventDefault();
  };
  const height = LANES.length * LANE_PX + AXIS_PX;
  return (
    <div class="timeline">
      <div class="lanes" aria-hidden="true">
        {LANES.map((lane) => <span key={lane}>{lane}</span>)}
      </div>
      <div class="chart" ref={scroller} onScroll={onScroll}>
        <svg
          width={laid.width}
          height={height}
          role="group"
          aria-label="Timeline. Arrow keys go from bar to bar, Enter opens one."
          onKeyDown={pressed}
        >
          {LANES.map((lane, i) => (
            <line
              key={lane}
              class="rule"
              x1={0}
              x2="100%"
              y1={(i + 1) * LANE_PX}
              y2={(i + 1) * LANE_PX}
            />
          ))}
          <Axis laid={laid} from={left - SPARE_PX} to={right} height={height} />
          {seen.map((one) => (
            <Bar
              key={one.bar.seq}
              one={one}
              isHere={one === here}
              reached={() => setAt(one.bar.seq)}
              open={() => setOpen(one.bar.seq)}
            />
          ))}
        </svg>
      </div>
    </div>
  );
}

function Axis({ laid, from, to, height }: {
  readonly laid: Layout;
  readonly from: number;
  readonly to: number;
  readonly height: number;
}): JSX.Element {
  const isSeen = ({ x }: { readonly x: number }): boolean => x >= from && x <= to;
  return (
    <g aria-hidden="true">
      {laid.ticks.map((tick, i) => ({ ...tick, i })).filter(isSeen).map(({ x, at, i }) => (
        <g key={x}>
          <line class="tick" x1={x} x2={x} y1={height - AXIS_PX} y2={height - AXIS_PX + 5} />
          {timeOf(at) !== timeOf(laid.ticks[i - 1]?.at ?? "") && (
            <text x={x} y={height - 5}>{timeOf(at)}</text>
          )}
        </g>
      ))}
      {laid.breaks.filter(isSeen).map(({ x, ms }) => (
        <g key={x}>
          <line class="gap" x1={x} x2={x} y1={0} y2={height - AXIS_PX} />
          <text class="gap" x={x + 3} y={10}>{spanOf(ms)}</text>
        </g>
      ))}
    </g>
  );
}

const SAID = { allow: "allowed", ask: "asked a person", deny: "denied" } as const;

function Bar({ one, isHere, reached, open }: {
  readonly one: Placed;
  readonly isHere: boolean;
  readonly reached: () => void;
  readonly open: () => void;
}): JSX.Element {
  const { lane, bar, x, end } = one;
  const y = LANES.indexOf(lane) * LANE_PX + LANE_PX / 2;
  const took = bar.to === null
    ? "not over"
    : `took ${spanOf(Date.parse(bar.to) - Date.parse(bar.from))}`;
  const failed = bar.ok === false ? ", failed" : "";
  const what = `${lane}: ${visible(bar.name)} ${visible(bar.resource)}`;
  const label = `${what}, ${SAID[bar.decision]}${failed}, ${took}`;
  return (
    <g
      role="button"
      tabIndex={isHere ? 0 : -1}
      aria-label={label}
      data-seq={bar.seq}
      class={`mark ${bar.decision}${bar.ok === false ? " failed" : ""}`}
      onFocus={reached}
      onClick={open}
    >
      <title>{label}</title>
      <rect class="hit" x={x - 8} y={y - 14} width={Math.max(16, end - x + 8)} height={28} />
      {end - x > MARK && (
        <line
          class={bar.to === null ? "span open" : "span"}
          x1={x}
          x2={end}
          y1={y}
          y2={y}
        />
      )}
      <Mark decision={bar.decision} x={x} y={y} />
    </g>
  );
}
