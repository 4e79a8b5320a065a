/**
 * The soak: six hours of virtual time with tool calls, crashes, forks, rollbacks, approvals,
 * compactions, timers and children. It ends as if no kernel had died, the last hour costs no more
 * than the first, and its log gives every state and every call again.
 *
 * A short form by default; `deno task soak` (LIBOS_SOAK=long) has 5,000 tool calls and 200 crashes.
 * LIBOS_SEED repeats an earlier run.
 * @module
 */

import assert from "node:assert/strict";
import { type Ending, type Hour, runSession } from "./soak_place.ts";
import { ONCE_MAX, type SessionSize } from "./soak_session.ts";

const IS_LONG = Deno.env.get("LIBOS_SOAK") === "long";
const SEED = Number(Deno.env.get("LIBOS_SEED") ?? 1);
const SIZE: SessionSize = IS_LONG
  ? { seed: SEED, rounds: 360, pages: 480 }
  : { seed: SEED, rounds: 24, pages: 48 };
const CALLS_MIN = IS_LONG ? 5_000 : 400;
const CRASHES = IS_LONG ? 200 : 14;
/** How far apart crashes are drawn, in parts of the session: many come out as late as its end. */
const SPREAD = IS_LONG ? 1.15 : 0.85;
/** What the last hour may cost a call, in parts of the first. */
const FLAT = IS_LONG ? 1.2 : 1.5;
/** What is kept of a tree that lives on grows with it; this is all that it may. */
const HEAP_GROWTH_MAX = 8 * 2 ** 20;

interface Cost {
  readonly lines: number;
  readonly bytes: number;
  readonly commits: number;
  readonly reads: number;
}

function costOf({ calls, lines, bytes, commits, reads }: Hour): Cost {
  const each = (n: number): number => Math.round(100 * n / calls) / 100;
  return { lines: each(lines), bytes: each(bytes), commits: each(commits), reads: each(reads) };
}

function told(ending: Ending): string {
  const { hours, crashes, commits, compactions, asked, dumps, history } = ending;
  const state = dumps.reduce((sum, { length }) => sum + length, 0);
  const costs = hours.filter(({ calls }) => calls > 0).map((hour) =>
    `${hour.calls} calls ${JSON.stringify(costOf(hour))} copies ${hour.copies} heap ${hour.heap}`
  );
  const total = hours.reduce((sum, { calls }) => sum + calls, 0);
  return `${total} calls, ${crashes} crashes, ${commits} commits, ${compactions} compactions, ` +
    `${asked} requests, ${dumps.length} trees of ${state} bytes, ` +
    `${JSON.stringify(history)}\n  ${costs.join("\n  ")}`;
}

function judge({ done, hours, history }: Ending): void {
  const once = done.filter((what) => what.startsWith("write once/"));
  assert.ok(once.length <= ONCE_MAX, `${once.length} uses of ${ONCE_MAX}`);
  assert.deepEqual(done.filter((what) => what.startsWith("write denied/")), []);
  const twice = done.filter((what, i) => what === done[i - 1] && what !== "write w/ledger");
  assert.deepEqual(twice, [], "done twice");
  const total = hours.reduce((sum, { calls }) => sum + calls, 0);
  assert.ok(total >= CALLS_MIN, `${total} calls`);
  assert.ok(history.replayed >= total, `${history.replayed} of more than ${total} calls run again`);
  assert.ok(history.positions >= 100, `${history.positions} positions compared`);
}

/** The first and the last whole hour. */
function judgeCost({ hours }: Ending): void {
  const [first, last] = [hours[0]!, hours[5]!];
  const [before, after] = [costOf(first), costOf(last)];
  for (const kind of ["lines", "bytes", "commits", "reads"] as const) {
    const sentence = `${kind} a call: ${before[kind]} in the first hour, ${
      after[kind]
    } in the last`;
    assert.ok(after[kind] <= FLAT * before[kind], sentence);
  }
  if (!IS_LONG) return;
  // Going back and branching off carry state, which grows with the work. The last hour is 11 times
  // as late as the first, with up to three branches where that has two.
  const most = FLAT * 11 * 1.5 * first.copies;
  assert.ok(last.copies <= most, `${last.copies} bytes of state in the last hour, ${most} at most`);
  if (first.heap === null || last.heap === null) return;
  const growth = last.heap - first.heap;
  assert.ok(growth <= HEAP_GROWTH_MAX, `the heap grew by ${growth}`);
}

Deno.test(`Six hours of work end as if no kernel had died: LIBOS_SEED=${SEED}`, async (t) => {
  const whole = await runSession(SIZE, { crashes: 0, every: 1 });
  await t.step("Six hours without a crash keep their promises and cost the same an hour", () => {
    if (IS_LONG) console.log(told(whole));
    judge(whole);
    judgeCost(whole);
    assert.ok(whole.compactions > 0, "nothing was compacted");
    assert.ok(whole.asked > 0, "nobody was asked");
  });
  const every = Math.max(2, Math.floor(SPREAD * whole.commits / CRASHES));
  const crashed = await runSession(SIZE, { crashes: CRASHES, every });
  await t.step(`Six hours with ${CRASHES} crashes come to the same`, () => {
    if (IS_LONG) console.log(told(crashed));
    assert.equal(crashed.crashes, CRASHES);
    judge(crashed);
    assert.deepEqual(crashed.done, whole.done);
    assert.deepEqual(crashed.contents, whole.contents);
    assert.deepEqual(crashed.results, whole.results);
    assert.deepEqual(crashed.states, whole.states, differenceOf(whole, crashed));
  });
});

/** Where two endings part, for people. */
function differenceOf(one: Ending, other: Ending): string {
  const i = one.states.findIndex((hash, n) => hash !== other.states[n]);
  if (i < 0) return "";
  const [a, b] = [one.dumps[i]!, other.dumps[i] ?? ""];
  let at = 0;
  while (a[at] === b[at] && at < a.length) at += 1;
  const around = (text: string): string => text.slice(Math.max(0, at - 300), at + 300);
  return `seed ${SEED}, state ${i + 1}:\n${around(a)}\n--- with crashes ---\n${around(b)}`;
}
