/**
 * What a handler is told of the call it handles.
 * @module
 */

import type { ValueRef } from "../kernel/event.ts";
import type { Json } from "../kernel/json.ts";
import { joinLabels } from "../kernel/label.ts";
import type { Tree } from "../kernel/tree.ts";
import { riskOf } from "./ask.ts";
import { addTo, type Call, callId, type Host, idempotencyKey } from "./call.ts";
import { Port } from "./port.ts";
import type { Run } from "./run.ts";
import type { AnySyscall, CallContext, World } from "./syscall.ts";

/** The part of the door which a handler reaches through its context. */
export interface ContextDoor {
  readonly world: World;
  readonly host: Host;
  readonly table: ReadonlyMap<string, AnySyscall>;
  now(tree: Tree): number;
  call(run: Run, parent: string, name: string, rawArgs: unknown): Promise<unknown>;
  callAt(run: Run, key: string, name: string, rawArgs: unknown): Promise<unknown>;
}

/** The context of a call. */
export function contextOf(door: ContextDoor, call: Call): CallContext {
  const { run, tree, process, key, notes } = call;
  const id = callId(call);
  return {
    tree,
    process,
    pid: process.pid,
    cwd: call.cwd,
    key,
    call: id,
    nowMs: door.now(tree),
    world: door.world,
    parked: process.parked[key],
    signal: run.signal,
    heard: call.frame?.signal ?? run.signal,
    // Worked out only when asked for: most calls never do.
    get idempotencyKey() {
      return idempotencyKey(tree, id);
    },
    load: (ref) => load(door.host, tree, ref),
    taint: (label) => {
      notes.label = notes.label === null ? label : joinLabels(notes.label, label);
    },
    book: (spent) => addTo(notes.spent, spent),
    sys: (name, args) => door.call(run, key, name, args),
    port: (tool) =>
      new Port(
        { run, process, parent: key, tool },
        (name, args, place) => door.callAt(run, place, name, args),
      ),
    riskOf: (right) => riskOf(door.table, right),
    isFree: (right) => isFree(door.table.get(right)),
    stream: run.stream,
  };
}

function isFree(def: AnySyscall | undefined): boolean {
  // Where needs come from arguments there may be some.
  return def !== undefined && def.needs.length === 0 &&
    def.needs(undefined, undefined as never).length === 0;
}

async function load(host: Host, tree: Tree, ref: ValueRef): Promise<Json> {
  return tree.peek(ref) ?? await host.load(tree, (ref as { readonly hash: string }).hash);
}
