/**
 * Object Memory: typed values with versions, lists, links, labels and provenance.
 *
 * Invariants:
 *   M1. An object is immutable unless it was made mutable; a list only grows.
 *   M2. A write names the version it is based on, and is refused with `ESTALE` on any other.
 *   M3. A label only rises: what is written carries the join of the writer's label, the old
 *       value's and what the call asked for.
 *   M4. Values are blobs by hash; fork and checkpoint copy none.
 * @module
 */

import { checkAgainst } from "./schema.ts";
import type { Draft } from "./draft.ts";
import { SysError } from "./errors.ts";
import type { ObjectLink, Provenance, ValueRef } from "./event.ts";
import type { ObjectId, Pid } from "./ids.ts";
import type { Json, JsonObject } from "./json.ts";
import { joinLabels, type Label } from "./label.ts";
import { LIMITS } from "./limits.ts";
import { isMediaKind, MEDIA_TYPES, wrongMedia } from "./media.ts";
import { type Found, namespaceOf } from "./names.ts";
import { spend } from "./budget.ts";
import type { Item, ObjectRecord, Process, State } from "./state.ts";

/** Types that every tree knows; images may bring more. */
export const BUILT_IN_TYPES: { readonly [name: string]: JsonObject } = {
  json: {},
  text: { type: "string" },
  number: { type: "number" },
  report: { type: "string", minLength: 1 },
  context: {
    type: "object",
    required: ["role"],
    properties: { role: { enum: ["system", "user", "assistant", "tool"] } },
  },
  ...MEDIA_TYPES,
};

/** Who writes, in which call, from what. */
export interface Writing {
  readonly process: Process;
  readonly call: string;
  readonly sources: readonly string[];
  readonly label: Label | null;
}

/** The object that was found, or `ENOENT`. */
export function existing(found: Found, verb: string): ObjectRecord {
  if (found.object !== undefined) return found.object;
  const expected = "expected an object; object.list shows what is there";
  throw new SysError("ENOENT", `Cannot ${verb} object "${found.name}": absent, ${expected}`);
}

function ownField<T>(record: { readonly [key: string]: T }, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** Checks a value against its type's schema. */
function checkType(draft: Draft, process: Process, type: string, value: Json): void {
  const image = draft.tree.state.images[process.image];
  const schema = ownField(BUILT_IN_TYPES, type) ?? ownField(image?.types ?? {}, type);
  if (schema === undefined) {
    const known = [...Object.keys(BUILT_IN_TYPES), ...Object.keys(image?.types ?? {})].join(", ");
    throw new SysError("EINVAL", `Cannot use type "${type}": unknown, expected one of ${known}`);
  }
  const isBuiltIn = Object.hasOwn(BUILT_IN_TYPES, type);
  const wrong = checkAgainst(schema, value) ??
    (isBuiltIn && isMediaKind(type) ? wrongMedia(type, value) : null);
  if (wrong !== null) {
    throw new SysError("EINVAL", `Cannot keep a value of type "${type}": ${wrong}`);
  }
}

/** Decides a new object. */
export function create(draft: Draft, writing: Writing, spec: {
  readonly name: string;
  readonly type: string;
  readonly mutable: boolean;
  readonly list: boolean;
  readonly value?: Json;
  /** Exactly this label: only what was declassified has less than its writer. */
  readonly label?: Label;
}): { readonly object: ObjectId; readonly version: number } {
  const { state } = draft.tree;
  const found = draft.tree.lookUp(spec.name);
  if (found.object !== undefined && namespaceOf(found.object.name) === namespaceOf(spec.name)) {
    throw new SysError("EEXIST", `Cannot create object "${spec.name}": it exists already`);
  }
  needNamespace(state, spec.name);
  if (draft.tree.objectCount >= LIMITS.objectsPerTreeMax) {
    const sentence = `Cannot create object "${spec.name}": ${LIMITS.objectsPerTreeMax} are there`;
    throw new SysError("ELIMIT", `${sentence}, expected fewer`, { limit: "objectsPerTreeMax" });
  }
  const value = spec.list ? undefined : valueFor(draft, writing, spec.type, spec.value ?? null);
  const id = draft.id("obj");
  draft.add("object.created", {
    id,
    name: spec.name,
    owner: writing.process.pid,
    type: spec.type,
    mutable: spec.mutable,
    list: spec.list,
    version: spec.list ? 0 : 1,
    ...(value === undefined ? {} : { value }),
    label: spec.label ?? labelFor(writing, null),
    from: provenance(writing),
  });
  return { object: id, version: spec.list ? 0 : 1 };
}

function needNamespace(state: State, name: string): void {
  const space = namespaceOf(name);
  if (Object.hasOwn(state.namespaces, space)) return;
  const expected = "expected an existing namespace; make it with namespace.create";
  throw new SysError(
    "ENOENT",
    `Cannot create object "${name}": no namespace "${space}", ${expected}`,
  );
}

function valueFor(draft: Draft, writing: Writing, type: string, value: Json): ValueRef {
  checkType(draft, writing.process, type, value);
  const ref = draft.value(value, LIMITS.objectBytesMax, "the value");
  spend(draft, writing.process, { bytes: "hash" in ref ? ref.bytes : LIMITS.inlineBytesMax });
  return ref;
}

function labelFor(writing: Writing, old: Label | null): Label {
  let label = writing.process.label;
  if (writing.label !== null) label = joinLabels(label, writing.label);
  return old === null ? label : joinLabels(label, old);
}

function provenance(writing: Writing): Provenance {
  return { call: writing.call, pid: writing.process.pid, sources: writing.sources };
}

/** Decides a new version of a mutable object (M1, M2). */
export function write(draft: Draft, writing: Writing, change: {
  readonly found: Found;
  readonly value: Json;
  readonly from: number;
}): { readonly version: number } {
  const object = existing(change.found, "write");
  const refused = `Cannot write object "${change.found.name}"`;
  if (object.list) throw new SysError("EINVAL", `${refused}: a list, expected object.append`);
  if (!object.mutable) {
    throw new SysError("ESTATE", `${refused}: immutable, expected a mutable one or a new name`);
  }
  const current = versionAt(object, change.found.asOf);
  if (current.version !== change.from) {
    const sentence = `${refused}: at version ${current.version}, expected ${change.from}`;
    throw new SysError("ESTALE", sentence, { version: current.version });
  }
  const own = ownCopy(draft, writing, change.found);
  const value = valueFor(draft, writing, object.type, change.value);
  const version = current.version + 1;
  draft.add("object.written", {
    id: own,
    version,
    value,
    label: labelFor(writing, current.label),
    from: provenance(writing),
  });
  return { version };
}

/** Decides an item at the end of a list. */
export function append(draft: Draft, writing: Writing, change: {
  readonly found: Found;
  readonly item: Json;
}): { readonly version: number } {
  const object = existing(change.found, "append to");
  const refused = `Cannot append to object "${change.found.name}"`;
  if (!object.list) throw new SysError("EINVAL", `${refused}: no list, expected object.write`);
  const length = lengthAt(object, change.found.asOf);
  if (length >= LIMITS.objectItemsMax) {
    throw new SysError("ELIMIT", `${refused}: ${length} items, expected fewer`, {
      limit: "objectItemsMax",
    });
  }
  checkType(draft, writing.process, object.type, change.item);
  const own = ownCopy(draft, writing, change.found);
  const item = draft.value(change.item, LIMITS.objectBytesMax, "the item");
  spend(draft, writing.process, { bytes: "hash" in item ? item.bytes : LIMITS.inlineBytesMax });
  draft.add("object.appended", {
    id: own,
    version: length + 1,
    item,
    label: labelFor(writing, object.label),
    from: provenance(writing),
  });
  return { version: length + 1 };
}

/**
 * The object to change: itself, or a copy in the writer's own namespace when seen through a view.
 */
function ownCopy(draft: Draft, writing: Writing, found: Found): ObjectId {
  const object = found.object!;
  if (namespaceOf(object.name) === namespaceOf(found.name)) return object.id;
  const id = draft.id("obj");
  const current = object.list ? null : versionAt(object, found.asOf);
  const links = linksAt(object, found.asOf);
  draft.add("object.created", {
    id,
    name: found.name,
    owner: writing.process.pid,
    type: object.type,
    mutable: object.mutable,
    list: object.list,
    version: current?.version ?? lengthAt(object, found.asOf),
    ...(object.list
      ? { prefix: { object: object.id, length: lengthAt(object, found.asOf) } }
      : { value: current!.value }),
    ...(links.length === 0 ? {} : { links }),
    label: joinLabels(object.label, writing.process.label),
    from: { ...provenance(writing), sources: [`${object.id}@${current?.version ?? ""}`] },
  });
  return id;
}

/** The version of an object that a view as of `asOf` sees. */
export function versionAt(object: ObjectRecord, asOf: number | null): ObjectRecord["versions"][0] {
  const seen = asOf === null
    ? object.versions.at(-1)
    : object.versions.findLast((version) => version.seq <= asOf);
  if (seen === undefined && object.versions.length > 0) {
    const gone = "the version that was forked is no longer kept";
    throw new SysError("ESTALE", `Cannot read object "${object.name}": ${gone}`);
  }
  if (seen === undefined) {
    throw new SysError("EINVAL", `Cannot read object "${object.name}" as a value: it is a list`);
  }
  return seen;
}

/** How many items a view as of `asOf` sees. */
export function lengthAt(object: ObjectRecord, asOf: number | null): number {
  const before = object.prefix?.length ?? 0;
  if (asOf === null) return before + object.items.length;
  let low = 0;
  let high = object.items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (object.items[middle]!.seq <= asOf) low = middle + 1;
    else high = middle;
  }
  return before + low;
}

/** What a view as of `asOf` sees an object point to. */
export function linksAt(object: ObjectRecord, asOf: number | null): ObjectLink[] {
  return object.links.filter(({ seq }) => asOf === null || seq === undefined || seq <= asOf)
    .map(({ relation, to }) => ({ relation, to }));
}

/** Items `from` (inclusive) to `to` (exclusive), through whatever lists this one continues. */
export function itemsOf(state: State, object: ObjectRecord, from: number, to: number): Item[] {
  const before = object.prefix?.length ?? 0;
  const own = object.items.slice(Math.max(0, from - before), Math.max(0, to - before));
  if (from >= before || object.prefix === null) return own;
  const below = state.objects[object.prefix.object];
  if (below === undefined) return own;
  return [...itemsOf(state, below, from, Math.min(to, before)), ...own];
}

/** Decides a link from one object to another. */
export function link(draft: Draft, writing: Writing, change: {
  readonly found: Found;
  readonly relation: string;
  readonly to: Found;
}): void {
  const object = existing(change.found, "link");
  const to = existing(change.to, "link to");
  const links = linksAt(object, change.found.asOf);
  if (links.length >= LIMITS.linksPerObjectMax) {
    const sentence = `Cannot link object "${change.found.name}": too many links`;
    throw new SysError("ELIMIT", sentence, { limit: "linksPerObjectMax" });
  }
  if (links.some((each) => each.relation === change.relation && each.to === to.id)) return;
  const id = ownCopy(draft, writing, change.found);
  draft.add("object.linked", {
    id,
    relation: change.relation,
    to: to.id,
    label: labelFor(writing, object.label),
    from: provenance(writing),
  });
}

/** Decides that a name is gone: the object, or what shows through a view. */
export function remove(draft: Draft, process: Process, found: Found): void {
  const object = existing(found, "delete");
  if (namespaceOf(object.name) !== namespaceOf(found.name)) {
    draft.add("object.hidden", { name: found.name, by: process.pid });
    return;
  }
  draft.add("object.deleted", { id: object.id, by: process.pid });
  const space = draft.tree.state.namespaces[namespaceOf(found.name)];
  if (space !== undefined && space.base !== null) {
    draft.add("object.hidden", { name: found.name, by: process.pid });
  }
}

/** Decides that a child's results become its parent's, under `from/⟨child⟩/`. */
export function merge(draft: Draft, parent: Pid, child: Pid): readonly string[] {
  const moved: string[] = [];
  const prefix = `${child}/results/`;
  for (const found of draft.tree.listNames(child)) {
    const object = found.object!;
    if (!found.name.startsWith(prefix) || namespaceOf(object.name) !== child) continue;
    const name = `${parent}/from/${child}/${found.name.slice(prefix.length)}`;
    if (draft.tree.lookUp(name).object !== undefined) {
      throw new SysError("EEXIST", `Cannot merge object "${found.name}": "${name}" exists already`);
    }
    draft.add("object.moved", { id: object.id, name, owner: parent });
    moved.push(name.slice(parent.length + 1));
  }
  return moved;
}
