/**
 * Apply, the part of Object Memory: what its events do to state.
 * @module
 */

import { book } from "./budget.ts";
import { assert } from "./errors.ts";
import type { EventMap, EventType, Line } from "./event.ts";
import type { Pid } from "./ids.ts";
import { LIMITS } from "./limits.ts";
import { namespaceOf } from "./names.ts";
import { momentOf, type ObjectRecord, type State, type Version } from "./state.ts";
import { keep } from "./trail.ts";
import type { Tree } from "./tree.ts";

/** What each event does; total over the events of the table it belongs to. */
export type Handlers = {
  readonly [T in EventType]: (tree: Tree, data: EventMap[T], line: Line) => void;
};

/** What the events of Object Memory do. */
export const MEMORY = {
  "namespace.created": ({ state }, data) => {
    keep(state, "namespaces", data.name);
    state.namespaces[data.name] = { owner: data.owner, base: null, hidden: {} };
  },
  "object.created": (tree, data, line) => {
    const { value } = data;
    keep(tree.state, "objects", data.id);
    // Fields are in the order of their names wherever a record is made: its text is made quicker.
    tree.state.objects[data.id] = {
      atMs: line.atMs,
      createdSeq: momentOf(tree.state),
      deletedSeq: null,
      from: data.from,
      id: data.id,
      items: [],
      label: data.label,
      links: [...data.links ?? []],
      list: data.list,
      mutable: data.mutable,
      name: data.name,
      owner: data.owner,
      prefix: data.prefix ?? null,
      type: data.type,
      version: data.version,
      versions: value === undefined
        ? []
        : [versionOf({ ...data, value }, momentOf(tree.state), line)],
    };
    tree.state.next.obj += 1;
    tree.names.add(data.name, data.id);
    tree.objectCount += 1;
    if (data.prefix !== undefined) tree.countPrefix(data.prefix.object, 1);
    if (value !== undefined) bookBytes(tree.state, data.owner, value);
  },
  "object.written": ({ state }, data, line) => {
    const object = objectOf(state, data.id);
    object.version = data.version;
    object.label = data.label;
    object.versions.push(versionOf(data, momentOf(state), line));
    if (object.versions.length > LIMITS.objectVersionsKeptMax) object.versions.shift();
    bookBytes(state, data.from.pid, data.value);
  },
  "object.appended": ({ state }, data) => {
    const object = objectOf(state, data.id);
    object.version = data.version;
    object.label = data.label;
    object.items.push({ seq: momentOf(state), value: data.item });
    bookBytes(state, data.from.pid, data.item);
  },
  "object.deleted": (tree, data) => release(tree, objectOf(tree.state, data.id)),
  "object.hidden": ({ state }, data) => {
    const space = namespaceOf(data.name);
    const at = state.namespaces[space];
    if (at === undefined) return;
    keep(state, "namespaces", space);
    at.hidden[data.name.slice(space.length + 1)] = momentOf(state);
  },
  "object.moved": (tree, data) => {
    const object = objectOf(tree.state, data.id);
    tree.names.remove(object.name, object.id);
    object.name = data.name;
    object.owner = data.owner;
    // Under its new name it is new: a view from before does not see it.
    object.createdSeq = momentOf(tree.state);
    tree.names.add(data.name, data.id);
  },
  // The copy has its own line: this one says why it has less than what it was made of.
  "label.declassified": () => {},
  "object.linked": ({ state }, data) => {
    const object = objectOf(state, data.id);
    const { label, relation, to } = data;
    if (label === undefined) return void object.links.push({ relation, to });
    object.label = label;
    object.links.push({ relation, seq: momentOf(state), to });
  },
} satisfies Partial<Handlers>;

function versionOf(
  { value, label, from, version }: Pick<Version, "from" | "label" | "value" | "version">,
  seq: number,
  { atMs }: Line,
): Version {
  return { atMs, from, label, seq, value, version };
}

/** An object that is about to be changed. */
function objectOf(state: State, id: ObjectRecord["id"]): ObjectRecord {
  const object = Object.hasOwn(state.objects, id) ? state.objects[id] : undefined;
  assert(object !== undefined, `An event names object "${id}", which is not there`);
  keep(state, "objects", id);
  return object;
}

function bookBytes(
  state: State,
  pid: Pid,
  value: { hash?: string; bytes?: number } | object,
): void {
  const bytes = "bytes" in value ? value.bytes ?? 0 : LIMITS.inlineBytesMax;
  const at = state.processes[pid];
  if (at !== undefined) book(state, at, { bytes });
}

/** Deletes an object; its record stays while a fork of its namespace still sees it. */
function release(tree: Tree, object: ObjectRecord): void {
  tree.objectCount -= 1;
  keep(tree.state, "objects", object.id);
  object.deletedSeq = momentOf(tree.state);
  if (tree.bases.has(namespaceOf(object.name)) || tree.prefixes.has(object.id)) return;
  tree.names.remove(object.name, object.id);
  delete tree.state.objects[object.id];
  if (object.prefix !== null) tree.countPrefix(object.prefix.object, -1);
}

/** Deletes everything a process owns; for an ephemeral one that ended. */
export function releaseAll(tree: Tree, pid: Pid): void {
  for (const object of Object.values(tree.state.objects)) {
    if (object.owner === pid && object.deletedSeq === null) release(tree, object);
  }
}
