/**
 * In what order the console shows things: processes as trees, bars on a timeline.
 * @module
 */

import assert from "node:assert/strict";
import { branchesOf, isSought } from "../server/console/processes.ts";
import { layout, neighbour, STEPS } from "../server/console/timeline.ts";
import type { BarView } from "../server/schema/evidence.ts";
import type { ProcessView } from "../server/schema/process.ts";

function process(pid: string, parent: string | null = null, more: Partial<ProcessView> = {}) {
  return { pid, parent, image: "a@1", goal: "", owner: "", labels: {}, ...more } as ProcessView;
}

Deno.test("Processes stand below their parents, by number, and orphans at the left", () => {
  const all = [
    process("p_10"),
    process("p_2"),
    process("p_2.10", "p_2"),
    process("p_2.2", "p_2"),
    process("p_2.3", "p_2.10"),
    process("p_3.4", "p_3.1"),
  ];
  assert.deepEqual(branchesOf(all).map(({ process, depth }) => [process.pid, depth]), [
    ["p_2", 0],
    ["p_2.2", 1],
    ["p_2.10", 1],
    ["p_2.3", 2],
    ["p_3.4", 0],
    ["p_10", 0],
  ]);
});

Deno.test("A filter keeps what fits all of it: state with its reason, image, label, words", () => {
  const one = process("p_1", null, {
    state: "waiting",
    waiting: { reason: "person", on: null, since: "" },
    labels: { team: "ops" },
    goal: "Write the Report",
  });
  const none = { state: "", image: "", label: "", words: "" };
  for (
    const [more, fits] of [
      [{}, true],
      [{ state: "waiting" }, true],
      [{ state: "waiting/person", label: "team=ops", words: "report p_1" }, true],
      [{ state: "waiting/child" }, false],
      [{ label: "team" }, true],
      [{ label: "team=dev" }, false],
      [{ image: "b@1" }, false],
      [{ words: "report p_2" }, false],
    ] as const
  ) assert.equal(isSought(one, { ...none, ...more }), fits, JSON.stringify(more));
});

function timeline(
  ...bars: readonly (readonly [BarView["lane"], number, number | null])[]
): BarView[] {
  const at = (ms: number): string => new Date(ms).toISOString();
  const shown = bars.map(([lane, from, to], i) => ({
    lane,
    seq: i + 1,
    name: "x",
    resource: "",
    from: at(from),
    to: to === null ? null : at(to),
    decision: "allow" as const,
    ok: null,
  }));
  // As the API gives them: the latest first.
  return shown.reverse();
}

Deno.test("Bars of a timeline never stand on each other, and a week is no wider than it may be", () => {
  const week = 7 * 86_400_000;
  for (const step of STEPS) {
    const { placed, breaks, width } = layout(
      timeline(["model", 0, 50], ["syscalls", 0, 0], ["syscalls", 0, week], ["people", week, null]),
      step,
    );
    const xs = placed.map(({ x }) => x);
    for (let i = 1; i < xs.length; i++) assert(xs[i]! - xs[i - 1]! >= step);
    assert.deepEqual(breaks.map(({ ms }) => ms), [week]);
    assert(width < step * 30 + 64);
    for (const { x, end } of placed) assert(end >= x && end <= width);
    assert.equal(placed[2]!.end, placed[3]!.x, "what lasted until the last began reaches it");
    assert(placed[3]!.end > placed[3]!.x, "what is not over reaches the edge");
  }
});

Deno.test("A bar that took no time is not drawn over those of the same moment", () => {
  const { placed } = layout(
    timeline(["model", 0, 0], ["syscalls", 0, 0], ["syscalls", 0, 60], ["syscalls", 60, 60]),
    22,
  );
  const [first, second, third, last] = placed;
  for (const one of [first, second, last]) assert.equal(one!.end, one!.x);
  assert(third!.end > third!.x && third!.end <= last!.x);
});

Deno.test("Keys lead along a lane, and to the nearest bar of the next lane that has any", () => {
  const { placed } = layout(
    timeline(["model", 0, 1], ["model", 100, 101], ["people", 110, 111], ["model", 900, 901]),
    22,
  );
  const [first, second, people, last] = placed as [
    typeof placed[number],
    typeof placed[number],
    typeof placed[number],
    typeof placed[number],
  ];
  assert.equal(neighbour(placed, first, "ArrowRight"), second);
  assert.equal(neighbour(placed, first, "ArrowLeft"), undefined);
  assert.equal(neighbour(placed, first, "End"), last);
  assert.equal(neighbour(placed, last, "Home"), first);
  assert.equal(neighbour(placed, last, "ArrowDown"), people);
  assert.equal(neighbour(placed, people, "ArrowUp"), second);
  assert.equal(neighbour(placed, first, "x"), undefined);
});
