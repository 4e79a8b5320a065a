/**
 * Checkpoints: naming positions of the own tree's log, looking at them, and going back to one.
 *
 * Going back stops the whole tree, parents and siblings too, and branching off starts another which
 * may use up as much again: each takes a right by the checkpoint's name, and a person's word.
 * @module
 */

import { z } from "zod";
import { byAge, checkpointCalled, findPosition, takeCheckpoint } from "../../kernel/checkpoint.ts";
import { changesBetween, summaryOf } from "../../kernel/describe.ts";
import { type TreeId, treeNumber } from "../../kernel/ids.ts";
import { askReturn } from "../../kernel/returning.ts";
import type { State } from "../../kernel/state.ts";
import { nothing, pidShape } from "../shapes.ts";
import { type CallContext, type Need, type NeedContext, STEP_OVER, syscall } from "../syscall.ts";

const position = z.union([z.string().min(1).max(256), z.number().int().min(1)])
  .describe("A checkpoint's id or name, or the number of a line");
const shown = z.strictObject({
  id: z.string(),
  name: z.string(),
  seq: z.number(),
  by: z.string(),
  auto: z.string().nullable(),
  atMs: z.number(),
});

/** What is looked at is all of the tree: its other processes, too. */
function whole(right: string, { tree }: NeedContext): Need[] {
  return [{ right, resource: tree.state.tree }];
}

/** Whoever is told of a whole tree has seen what its processes had. */
function taintWithAll(at: Pick<CallContext, "taint">, { processes }: State): void {
  for (const { label } of Object.values(processes)) at.taint(label);
}

/** A named position, as a right names it; bound to the line, whatever the name means later. */
function named(right: string, name: string, at: {
  readonly state: State;
  readonly ask: string;
}): Need {
  const found = checkpointCalled(at.state, name);
  const { ask } = at;
  return { right, resource: found?.name ?? name, shown: name, ask, binds: found?.seq ?? null };
}

const checkpointName = z.string().min(1).max(256).regex(/\D/)
  .describe("A checkpoint's name or id");

/** Calls on checkpoints. */
export const checkpointCalls = {
  "checkpoint.create": syscall({
    about: "Name the position the own tree is at now; costs one line",
    effect: "mutate",
    args: z.strictObject({ name: z.string().min(1).max(256) }),
    reply: z.strictObject({ checkpoint: z.string() }),
    needs: () => [],
    run(at, { name }) {
      const { label } = at.process;
      return { checkpoint: takeCheckpoint(at.draft, { name, by: at.pid, label }) };
    },
  }),
  "checkpoint.list": syscall({
    about: "List the checkpoints of the own tree, oldest first",
    effect: "observe",
    args: nothing,
    reply: z.strictObject({ checkpoints: z.array(shown) }),
    needs: () => [],
    run(at) {
      const checkpoints = byAge(at.tree.state).map(({ label, ...one }) => {
        // Who named it chose the words.
        if (label !== undefined) at.taint(label);
        return one;
      });
      return { checkpoints };
    },
  }),
  "checkpoint.inspect": syscall({
    about: "Tell what the own tree was at a position: processes, objects, authority, requests",
    effect: "observe",
    args: z.strictObject({ at: position }),
    reply: z.looseObject({ seq: z.number() }),
    needs: (_, at) => whole("checkpoint.inspect", at),
    async run(at, args) {
      const seq = findPosition(at.tree.state, args.at);
      const then = await at.world.history(at.tree, seq);
      // It tells of goals, names and requests.
      taintWithAll(at, then);
      return summaryOf(then);
    },
  }),
  "checkpoint.restore": syscall({
    about: "Take the own tree back to a checkpoint; effects stand, and a message says so there",
    effect: "mutate",
    ends: true,
    risk: "destructive",
    // A run of a tool is a part of the step that would be gone.
    port: "closed",
    args: z.strictObject({
      to: checkpointName,
      reason: z.string().min(1).max(2_000).describe("What is to be different this time"),
    }),
    reply: z.null(),
    needs: ({ to }, { tree: { state } }) => [
      named("checkpoint.restore", to, {
        state,
        ask: "all that the tree did since would be undone, but for its effects",
      }),
    ],
    run(at, { to, reason }) {
      const { state } = at.tree;
      const seq = findPosition(state, to);
      const { name } = byAge(state).find((one) => one.seq === seq)!;
      askReturn(at.draft, at.process, { to: seq, name, reason });
      return STEP_OVER;
    },
  }),
  "checkpoint.fork": syscall({
    about: "Start a new tree from a checkpoint of the own one; it knows nothing of this one",
    effect: "emit",
    risk: "high",
    port: "closed",
    args: z.strictObject({
      from: checkpointName,
      message: z.string().min(1).max(8_192).optional().describe("What its root is told first"),
    }),
    reply: z.strictObject({ pid: pidShape }),
    needs: ({ from }, { tree: { state } }) => [
      named("checkpoint.fork", from, {
        state,
        ask: "another tree would begin, which may use up as much again",
      }),
    ],
    // Which tree it will be is in the intent, so that a lost outcome is found there.
    prepare: async (at) => ({ tree: await at.world.branches.reserve(at.idempotencyKey) }),
    before: ({ tree }) => tree,
    async run(at, { from, message }) {
      const pid = await at.world.branches.start(at.tree, {
        seq: findPosition(at.tree.state, from),
        by: at.pid,
        key: at.idempotencyKey,
        // What this process has seen goes with what it says.
        edits: message === undefined
          ? {}
          : { message, sender: { from: `tree:${at.tree.state.tree}`, label: at.process.label } },
      });
      return { pid };
    },
    async lost(at, _, before) {
      const tree = before as TreeId;
      return await at.world.branches.isStarted(tree)
        ? { state: "done", reply: { pid: `p_${treeNumber(tree)}` } }
        : { state: "not-done" };
    },
  }),
  "checkpoint.diff": syscall({
    about: "Tell what differs between two positions of the own tree",
    effect: "observe",
    args: z.strictObject({ from: position, to: position.optional().describe("Now, when absent") }),
    reply: z.strictObject({ changes: z.array(z.looseObject({ id: z.string() })) }),
    needs: (_, at) => whole("checkpoint.diff", at),
    async run(at, args) {
      const { state } = at.tree;
      const from = await at.world.history(at.tree, findPosition(state, args.from));
      const to = args.to === undefined
        ? state
        : await at.world.history(at.tree, findPosition(state, args.to));
      // What there is, is told by the names that it was given.
      for (const one of [from, to]) taintWithAll(at, one);
      return { changes: changesBetween(from, to) };
    },
  }),
};
