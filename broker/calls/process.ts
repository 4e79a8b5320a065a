/**
 * Processes: born, forked, waited for, signalled, ended.
 * @module
 */

import { z } from "zod";
import { LIMITS } from "../../kernel/limits.ts";
import { resolvePath } from "../../kernel/path.ts";
import { SysError } from "../../kernel/errors.ts";
import { detach } from "../../kernel/detach.ts";
import { Draft } from "../../kernel/draft.ts";
import type { EndOutcome, ImageData } from "../../kernel/event.ts";
import { registerFromImage } from "../../kernel/generated.ts";
import type { Pid, TreeId } from "../../kernel/ids.ts";
import { parentOf } from "../../kernel/kin.ts";
import { merge } from "../../kernel/memory.ts";
import { joinLabels } from "../../kernel/label.ts";
import { end, lifeState, processOf, signal, SIGNALS, subtreeOf } from "../../kernel/process.ts";
import type { Process } from "../../kernel/state.ts";
import type { Tree } from "../../kernel/tree.ts";
import { findImage, fork, spawn } from "../../kernel/spawn.ts";
import {
  budgetShape,
  jsonShape,
  nothing,
  pathShape,
  pidShape,
  ruleShape,
  timeoutShape,
} from "../shapes.ts";
import { heldIn } from "../holding.ts";
import { type DecideContext, type Need, Parked, STEP_OVER, syscall } from "../syscall.ts";

const goal = z.string().min(1).max(LIMITS.goalBytesMax);
const labels = z.record(z.string().max(64), z.string().max(256)).default({});
const spawnArgs = {
  goal,
  input: jsonShape.optional(),
  grants: z.array(ruleShape).max(256).default([])
    .describe("What it may do: each a part of what the parent may"),
  rules: z.string().max(LIMITS.policyBytesMax).default("")
    .describe("More ask and deny rules for it and what it starts, as policy text"),
  cwd: pathShape.default("."),
  labels,
  budget: budgetShape.default({}),
  priority: z.number().int().min(1).max(100).default(10),
  inherit: z.array(z.string().max(128)).max(LIMITS.toolsPerProcessMax).default([])
    .describe("Generated tools of the own table that it sees, too"),
};

/** What others may see of a process. */
export function describe(process: Process, tree: Tree): Record<string, unknown> {
  const { life } = process;
  const image = tree.state.images[process.image];
  return {
    pid: process.pid,
    parent: parentOf(process, tree.state),
    image: `${image?.name}@${image?.version}`,
    goal: process.goal,
    state: lifeState(life),
    waiting: life.state === "waiting" ? life.on : null,
    outcome: life.state === "ended" ? life.outcome : null,
    step: process.step,
    calls: process.calls,
    spent: process.spent,
    budget: process.limits,
    cwd: process.cwd,
    labels: process.labels,
    label: process.label,
    children: process.children,
  };
}

const described = z.looseObject({ pid: pidShape, state: z.string() });

/** A right on another process; a process needs none for itself and what it started. */
function over(right: string, pid: Pid, at: { tree: Tree; process: Process }): Need[] {
  const known = Object.hasOwn(at.tree.state.processes, pid);
  if (known && at.tree.lineage(pid).includes(at.process.pid)) return [];
  return [{ right, resource: pid }];
}

/** What ends by the caller's words is read by who waits for it, as what the caller had seen. */
function passOn({ draft, process: { label }, tree: { state } }: DecideContext, pid: Pid): void {
  for (const each of subtreeOf(state, pid)) {
    const { label: own } = processOf(state, each);
    if (joinLabels(own, label) !== own) draft.add("process.labeled", { pid: each, label });
  }
}

/** The image that a child is started from. */
function imageFor({ tree: { state } }: DecideContext, name: string): ImageData {
  const found = findImage(state, name);
  if (found !== undefined) return found.image;
  const known = Object.values(state.images).map((image) => image.name).join(", ");
  throw new SysError("ENOENT", `Cannot spawn image "${name}": absent, expected one of ${known}`);
}

const { inherit: _, ...handed } = spawnArgs;
const detachArgs = z.strictObject({
  image: z.string().min(1).max(256),
  ...handed,
  nodeSelector: z.record(z.string().max(64), z.string().max(64)).default({})
    .describe("Labels that its node has to have, such as region=eu"),
  trees: z.number().int().min(0).max(LIMITS.treesBelowMax).default(0)
    .describe("How many trees it may have below itself"),
});

/** Decides a detached child, which is to be the tree given. */
function detached(at: DecideContext, args: z.infer<typeof detachArgs>, tree: TreeId): Pid {
  const { nodeSelector: selector, ...rest } = args;
  return detach(at.draft, at.process, {
    ...rest,
    ...{ tree, selector, under: heldIn(at.tree) },
    input: args.input ?? null,
    image: imageFor(at, args.image),
    cwd: resolvePath(at.cwd, args.cwd),
  });
}

/** Calls on processes. */
export const processCalls = {
  "process.spawn": syscall({
    about: "Start a child process from an image, with a part of the own authority",
    effect: "mutate",
    args: z.strictObject({ image: z.string().min(1).max(256), ...spawnArgs }),
    reply: z.strictObject({ pid: pidShape }),
    cost: () => ({ children: 1 }),
    // A child of a model is given that model, too.
    hands({ grants, image }, { state }) {
      const model = findImage(state, image)?.image.model ?? null;
      return model === null ? grants : [...grants, `model.generate(${model})`];
    },
    needs: ({ image }, { tree }) => [{
      right: "process.spawn",
      resource: findImage(tree.state, image)?.ref ?? image,
      shown: image,
    }],
    run(at, args) {
      const pid = spawn(at.draft, at.process, {
        ...args,
        input: args.input ?? null,
        image: imageFor(at, args.image),
        cwd: resolvePath(at.cwd, args.cwd),
        // What a tool did not declare it cannot hand on, and what stands open to its process's
        // whole subtree would be handed on by itself.
        apart: at.tool !== undefined,
      });
      return { pid };
    },
  }),
  "process.fork": syscall({
    about: "Start a child that sees the own memory, copy-on-write",
    effect: "mutate",
    // It hands on all of its caller's authority, of which a generated tool has only a part.
    port: "closed",
    args: z.strictObject({
      ...spawnArgs,
      goal: goal.optional(),
      mode: z.enum(["copy", "restricted"]).default("copy")
        .describe("copy: all of the memory and authority; restricted: only what is named"),
      share: z.array(z.string().max(512)).max(256).default([])
        .describe("restricted: patterns of the names it sees"),
      ephemeral: z.boolean().default(false)
        .describe("Its memory is released when it ends; only its result stays"),
    }),
    reply: z.strictObject({ pid: pidShape }),
    cost: () => ({ children: 1 }),
    needs: () => [{ right: "process.fork", resource: "self" }],
    run(at, args) {
      const pid = fork(at.draft, at.process, {
        ...args,
        goal: args.goal ?? at.process.goal,
        input: args.input ?? at.process.input,
        cwd: resolvePath(at.cwd, args.cwd),
      });
      return { pid };
    },
  }),
  "process.detach": syscall({
    about: "Start a child as a tree of its own, which any node may run; wait for it as for others",
    effect: "mutate",
    // What it does is bounded by its tree, which outlives a run of a tool.
    port: "closed",
    args: detachArgs,
    reply: z.strictObject({ pid: pidShape }),
    cost: () => ({ children: 1 }),
    needs: ({ image }, { tree }) => [{
      right: "process.detach",
      resource: findImage(tree.state, image)?.ref ?? image,
      shown: image,
    }],
    async prepare(at, args): Promise<TreeId> {
      // What would be refused is refused before a tree is made for it.
      detached({ ...at, draft: new Draft(at.tree, at.nowMs) }, args, at.tree.state.tree);
      const { branches } = at.world;
      const tree = await branches.reserve(at.idempotencyKey);
      if (!await branches.isStarted(tree)) return tree;
      // The tree went back since, and does anew what it had done here.
      return await branches.reserve(`${at.idempotencyKey}@${at.tree.state.seq}`);
    },
    run: (at, args, tree) => ({ pid: detached(at, args, tree) }),
  }),
  "process.exec": syscall({
    about: "Become another image, keeping identity, memory and authority",
    effect: "mutate",
    ends: true,
    args: z.strictObject({ image: z.string().min(1).max(256), goal: goal.optional() }),
    reply: z.null(),
    needs: ({ image }, { tree }) => [{
      right: "process.exec",
      resource: findImage(tree.state, image)?.ref ?? image,
      shown: image,
    }],
    run(at, args) {
      const found = findImage(at.tree.state, args.image);
      if (found === undefined) {
        throw new SysError("ENOENT", `Cannot exec image "${args.image}": absent`);
      }
      const { pid } = at.process;
      at.draft.add("process.executed", {
        pid,
        image: found.image.hash,
        goal: args.goal ?? at.process.goal,
        tools: found.image.tools,
      });
      const { cwd } = at.process;
      registerFromImage(at.draft, { pid, cwd, tools: found.image.tools }, found.image);
      return STEP_OVER;
    },
  }),
  "process.wait": syscall({
    about: "Wait until one of the own children has ended, and take its result",
    effect: "mutate",
    args: z.strictObject({
      pids: z.array(pidShape).min(1).max(256),
      timeoutMs: timeoutShape.optional(),
      merge: z.boolean().default(false)
        .describe('Take over what the child left under "results/", as "from/<pid>/..."'),
    }),
    reply: z.strictObject({
      ended: z.strictObject({ pid: pidShape, outcome: z.looseObject({ kind: z.string() }) })
        .nullable(),
      merged: z.array(z.string()),
    }),
    needs: () => [],
    run(at, args) {
      const { state } = at.tree;
      const foreign = args.pids.find((pid) =>
        !Object.hasOwn(state.processes, pid) || state.processes[pid]?.parent !== at.pid
      );
      if (foreign !== undefined) {
        throw new SysError(
          "EPERM",
          `Cannot wait for process "${foreign}": no child of "${at.pid}", expected one`,
        );
      }
      for (const pid of args.pids) {
        const { life } = processOf(state, pid);
        if (life.state !== "ended") continue;
        const child = processOf(state, pid);
        at.taint(child.label);
        const merged = args.merge ? merge(at.draft, at.pid, pid) : [];
        return { ended: { pid, outcome: life.outcome }, merged };
      }
      const until = untilOf(at.parked, args.timeoutMs, at.nowMs);
      if (until !== null && until <= at.nowMs) return { ended: null, merged: [] };
      return new Parked({ reason: "child", key: at.key, pids: args.pids, untilMs: until });
    },
  }),
  "process.exit": syscall({
    about: "End, with a result",
    effect: "mutate",
    ends: true,
    args: z.strictObject({
      result: jsonShape.optional(),
      code: z.number().int().min(0).max(255).default(0),
    }),
    reply: z.null(),
    needs: () => [],
    run(at, args) {
      const outcome: EndOutcome = {
        kind: "exited",
        code: args.code,
        result: args.result ?? null,
      };
      end(at.draft, at.process, outcome);
      return STEP_OVER;
    },
  }),
  "process.signal": syscall({
    about: "Pause, resume, cancel or kill a process and all it started",
    effect: "mutate",
    args: z.strictObject({
      pid: pidShape,
      signal: z.enum(SIGNALS),
      reason: z.string().max(512).default(""),
    }),
    reply: nothing,
    needs: ({ pid }, at) => over("process.signal", pid, at),
    run(at, args) {
      const target = processOf(at.tree.state, args.pid);
      if (at.tree.lineage(at.pid).includes(args.pid)) {
        const expected = "expected another process; process.exit ends the caller";
        throw new SysError("EINVAL", `Cannot signal "${args.pid}" from inside it: ${expected}`);
      }
      const isEnd = args.signal === "kill" || args.signal === "cancel";
      if (isEnd && args.reason !== "") passOn(at, target.pid);
      signal(at.draft, target, { signal: args.signal, by: at.pid, reason: args.reason });
      return {};
    },
  }),
  "process.list": syscall({
    about: "List the caller and the processes below it",
    effect: "observe",
    args: z.strictObject({ ended: z.boolean().default(true) }),
    reply: z.strictObject({ processes: z.array(described) }),
    needs: () => [],
    run(at, args) {
      const all = Object.values(at.tree.state.processes)
        .filter(({ pid }) => at.tree.lineage(pid).includes(at.pid))
        .filter(({ life }) => args.ended || life.state !== "ended").slice(0, 500);
      // What they are to do was said by somebody who may have seen more.
      for (const { label } of all) at.taint(label);
      const short = ({ pid, state, goal }: Record<string, unknown>) => ({ pid, state, goal });
      return { processes: all.map((each) => short(describe(each, at.tree))) };
    },
  }),
  "process.inspect": syscall({
    about: "Tell about a process: state, goal, budget, children",
    effect: "observe",
    args: z.strictObject({ pid: pidShape.optional() }),
    reply: described,
    needs: ({ pid }, at) => pid === undefined ? [] : over("process.inspect", pid, at),
    run(at, args) {
      const target = processOf(at.tree.state, args.pid ?? at.pid);
      at.taint(target.label);
      return describe(target, at.tree);
    },
  }),
  "process.chdir": syscall({
    about: "Change the working directory",
    effect: "mutate",
    args: z.strictObject({ path: pathShape }),
    reply: z.strictObject({ cwd: z.string() }),
    needs: () => [],
    run(at, args) {
      const cwd = resolvePath(at.cwd, args.path);
      at.draft.add("process.moved", { pid: at.pid, cwd });
      return { cwd };
    },
  }),
  "process.cwd": syscall({
    about: "Tell the working directory",
    effect: "observe",
    args: nothing,
    reply: z.strictObject({ cwd: z.string() }),
    needs: () => [],
    run: (at) => ({ cwd: at.process.cwd }),
  }),
};

/** When a wait ends: fixed the first time the call is made, and kept while it is parked. */
export function untilOf(
  parked: object | undefined,
  timeoutMs: number | undefined,
  nowMs: number,
): number | null {
  if (parked !== undefined && "untilMs" in parked) return parked.untilMs as number | null;
  return timeoutMs === undefined ? null : nowMs + timeoutMs;
}
