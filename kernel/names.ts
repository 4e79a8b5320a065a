/**
 * Names in Object Memory: how a reference becomes one object, for one process, at one time.
 *
 * Names are not permissions: finding an object gives nothing, the door still asks for the right.
 *
 * Invariants:
 *   N1. A relative name is in the process's own namespace; "/p_2/x" names another one.
 *   N2. A forked namespace shows its base as it was when it was forked, until a name is written.
 * @module
 */

import { SysError } from "./errors.ts";
import { isId, type ObjectId, type Pid } from "./ids.ts";
import type { ObjectRecord, State } from "./state.ts";
import { matchResource } from "./grammar.ts";

/** Which object a name or id means, for a process. */
export interface Found {
  /** The full name, which is the resource that rights are about. */
  readonly name: string;
  readonly object: ObjectRecord | undefined;
  /** The position as of which it is seen; null for now. */
  readonly asOf: number | null;
}

const CHARS_MAX = 512;
const NAME = /^[\p{L}\p{N}_.@+=-][\p{L}\p{N}_.@+= -]*$/u;
/** The same in ASCII, where there is but one way to write a name. */
const ASCII_NAME = /^[\w.@+=-][\w.@+= -]*$/;

/** The namespace part of a full name. */
export function namespaceOf(name: string): string {
  const slash = name.indexOf("/");
  return slash < 0 ? name : name.slice(0, slash);
}

/** Checks a name and makes it full. */
export function fullName(pid: Pid, name: string): string {
  if (!name.includes("/") && name.length <= CHARS_MAX && isNamePart(name)) return `${pid}/${name}`;
  const absolute = name.startsWith("/");
  const parts = (absolute ? name.slice(1) : name).split("/");
  if (name.length > CHARS_MAX || parts.length > 32 || parts.some((part) => !isNamePart(part))) {
    const expected = 'expected parts of letters, digits and "_.@+=-" with "/" between';
    throw new SysError("EINVAL", `Cannot use object name ${JSON.stringify(name)}: ${expected}`);
  }
  if (absolute && parts.length < 2) {
    throw new SysError("EINVAL", `Cannot use object name "${name}": expected "/namespace/name"`);
  }
  return absolute ? parts.join("/") : `${pid}/${parts.join("/")}`;
}

function isNamePart(part: string): boolean {
  if (part === "." || part === "..") return false;
  return ASCII_NAME.test(part) || (NAME.test(part) && part.normalize("NFC") === part);
}

/** Names of live objects, and of those that older views still see. Derived from state. */
export class Names {
  readonly #ids = new Map<string, ObjectId[]>();
  readonly #spaces = new Map<string, Set<string>>();

  /** Makes a name known. */
  add(name: string, id: ObjectId): void {
    const ids = this.#ids.get(name);
    if (ids === undefined) this.#ids.set(name, [id]);
    else ids.push(id);
    const space = namespaceOf(name);
    const names = this.#spaces.get(space);
    if (names === undefined) this.#spaces.set(space, new Set([name]));
    else names.add(name);
  }

  /** Forgets a name of an object. */
  remove(name: string, id: ObjectId): void {
    const ids = this.#ids.get(name)?.filter((each) => each !== id) ?? [];
    if (ids.length > 0) {
      this.#ids.set(name, ids);
      return;
    }
    this.#ids.delete(name);
    this.#spaces.get(namespaceOf(name))?.delete(name);
  }

  /** Objects that have or had a name, oldest first. */
  ids(name: string): readonly ObjectId[] {
    return this.#ids.get(name) ?? [];
  }

  /** The names in a namespace. */
  in(space: string): Iterable<string> {
    return this.#spaces.get(space) ?? [];
  }
}

/** What a full name means, at `asOf` or now (N2). */
export function lookUp(
  state: State,
  names: Names,
  name: string,
  asOf: number | null = null,
): Found {
  for (const id of names.ids(name)) {
    const object = state.objects[id];
    if (object !== undefined && visible(object, asOf)) return { name, object, asOf };
  }
  const space = namespaceOf(name);
  const at = Object.hasOwn(state.namespaces, space) ? state.namespaces[space] : undefined;
  if (at === undefined || at.base === null) return { name, object: undefined, asOf };
  const rest = name.slice(space.length + 1);
  const isHidden = Object.hasOwn(at.hidden, rest) && at.hidden[rest]! <= (asOf ?? Infinity);
  if (isHidden) return { name, object: undefined, asOf };
  if (!shows(at.base.only, rest)) return { name, object: undefined, asOf };
  const seq = Math.min(asOf ?? Infinity, at.base.seq);
  const below = lookUp(state, names, `${at.base.name}/${rest}`, seq);
  return { name, object: below.object, asOf: below.object === undefined ? asOf : below.asOf };
}

function visible(object: ObjectRecord, asOf: number | null): boolean {
  if (asOf === null) return object.deletedSeq === null;
  return object.createdSeq <= asOf && (object.deletedSeq === null || object.deletedSeq > asOf);
}

function shows(only: readonly string[] | null, rest: string): boolean {
  return only === null || only.some((pattern) => matchResource(pattern, rest));
}

/** What a reference of a process means: an id, a relative name, or "/namespace/name". */
export function resolve(state: State, names: Names, pid: Pid, ref: string): Found {
  if (!isId("obj", ref)) return lookUp(state, names, fullName(pid, ref));
  const object = Object.hasOwn(state.objects, ref) ? state.objects[ref] : undefined;
  // An id that is not there needs a right that no ordinary process has (G9): see "unknown".
  if (object === undefined) return { name: `unknown/${ref}`, object: undefined, asOf: null };
  const through = throughView(state, names, pid, object);
  return through ?? { name: object.name, object: visibleNow(object), asOf: null };
}

function visibleNow(object: ObjectRecord): ObjectRecord | undefined {
  return object.deletedSeq === null ? object : undefined;
}

/** An object of an ancestor's memory, as the process's own namespace shows it. */
function throughView(
  state: State,
  names: Names,
  pid: Pid,
  object: ObjectRecord,
): Found | undefined {
  const space = namespaceOf(object.name);
  if (space === pid) return undefined;
  for (let at = state.namespaces[pid]; at?.base != null; at = state.namespaces[at.base.name]) {
    if (at.base.name !== space) continue;
    const found = lookUp(state, names, `${pid}/${object.name.slice(space.length + 1)}`);
    return found.object === object ? found : undefined;
  }
  return undefined;
}

/** All names a process could see in a namespace, with what they mean now. */
export function* listNames(
  state: State,
  names: Names,
  space: string,
): Iterable<Found> {
  const seen = new Set<string>();
  for (
    let at: string | undefined = space;
    at !== undefined;
    at = state.namespaces[at]?.base?.name
  ) {
    for (const name of names.in(at)) {
      const shown = `${space}/${name.slice(at.length + 1)}`;
      if (seen.has(shown)) continue;
      seen.add(shown);
      const found = lookUp(state, names, shown);
      if (found.object !== undefined) yield found;
    }
  }
}
