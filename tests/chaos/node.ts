/**
 * A node of a chaos run: a process of its own, which does what it is told by lines on its input and
 * answers by lines on its output. It can be killed, stopped, cut off, and its clock set.
 *
 * Arguments: the store's address, the name of the node, and its lease in milliseconds.
 * @module
 */

import { createRuntime, openNet, type Runtime } from "../../mod.ts";
import { SysError } from "../../kernel/errors.ts";
import type { Pid, TreeId } from "../../kernel/ids.ts";
import { treeOf } from "../../kernel/ids.ts";
import type { Order } from "../../kernel/inbox.ts";
import { realClock } from "../../providers/clock.ts";
import { LAST, spawning, type Told, worker } from "./agents.ts";

/** What a node is asked; `by` is the id of the invocation, which the log keeps. */
export type Asking =
  | { readonly do: "spawn"; readonly told: Told }
  | {
    readonly do: "message";
    readonly pid: Pid;
    readonly type: string;
    readonly by: string;
  }
  | {
    readonly do: "signal";
    readonly pid: Pid;
    readonly signal: "pause" | "resume";
    readonly by: string;
  }
  | {
    readonly do: "answer";
    readonly tree: TreeId;
    readonly request: string;
    readonly value: string;
    readonly by: string;
  }
  | { readonly do: "read"; readonly tree: TreeId }
  | { readonly do: "broken" }
  | { readonly do: "well" }
  | { readonly do: "jump"; readonly ms: number };

/** A line to a node. */
export interface Asked {
  readonly n: number;
  readonly asking: Asking;
}

/** A line of a node: what it was asked gave this, or failed with a code. */
export interface Answered {
  readonly n: number;
  readonly value?: unknown;
  readonly code?: string;
}

let offMs = 0;
const clock = { ...realClock, now: (): number => realClock.now() + offMs };

/** The acts that a tree's log says were taken, in order. */
export async function actsOf(os: Runtime, tree: TreeId): Promise<string[]> {
  const acts: string[] = [];
  for await (const { type, data } of os.log(tree)) {
    if (type === "inbox.taken") acts.push((data as { readonly by: string }).by);
  }
  return acts;
}

function orderOf(asking: Asking): { readonly tree: TreeId; readonly order: Order } {
  switch (asking.do) {
    case "message": {
      const { pid, type, by } = asking;
      const label = { sensitivity: "internal", trust: "trusted" } as const;
      // Whoever sleeps is not waited for.
      const mail = { from: by, data: null, interrupt: type === LAST, replyTo: null, label };
      return { tree: treeOf(pid), order: { kind: "message", to: pid, type, ...mail } };
    }
    case "signal": {
      const { pid, signal, by } = asking;
      return { tree: treeOf(pid), order: { kind: "signal", pid, signal, reason: "chaos", by } };
    }
    case "answer": {
      const { tree, value, by } = asking;
      const request = asking.request as `req_${string}`;
      const answer = value === ""
        ? { outcome: "deny", reason: "nobody knows" } as const
        : { outcome: "answer", value } as const;
      return { tree, order: { kind: "answer", request, answer, by } };
    }
    default:
      throw new Error(`No order: ${asking.do}`);
  }
}

async function done(os: Runtime, asking: Asking): Promise<unknown> {
  switch (asking.do) {
    case "spawn":
      return (await os.spawn(worker, spawning(asking.told))).pid;
    case "read":
      return await actsOf(os, asking.tree);
    case "broken":
      return [...os.node.broken].map(([tree, { code, message }]) => ({ tree, code, message }));
    case "well": {
      const { membership, options: { store } } = os.node;
      await store.head("t_1");
      return membership!.state === "active" &&
        membership!.beatAgeMs < membership!.facts.leaseMs / 2;
    }
    case "jump":
      offMs += asking.ms;
      return null;
    default: {
      const { tree, order } = orderOf(asking);
      return await os.order(tree, order);
    }
  }
}

function say(said: Answered): void {
  const line = new TextEncoder().encode(`${JSON.stringify(said)}\n`);
  for (let at = 0; at < line.length;) at += Deno.stdout.writeSync(line.subarray(at));
}

async function answer(os: Runtime, { n, asking }: Asked): Promise<void> {
  try {
    say({ n, value: await done(os, asking) ?? null });
  } catch (error) {
    say({ n, code: error instanceof SysError ? error.code : String(error) });
  }
}

if (import.meta.main) {
  const [store = "", name = "", leaseMs = ""] = Deno.args;
  const os = await createRuntime({
    store,
    clock,
    workspace: null,
    images: [worker],
    approvals: "queue",
    net: openNet(),
    node: { name, leaseMs: Number(leaseMs) },
  });
  say({ n: 0, value: os.node.options.id });
  let text = "";
  for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (text + chunk).split("\n");
    text = lines.pop()!;
    for (const line of lines) void answer(os, JSON.parse(line));
  }
}
