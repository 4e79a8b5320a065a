/**
 * Bindings: which part of a tool's arguments is what the tool reaches, and under which right.
 *
 * `file.read($.path)` says that the argument `path` is a file which the call reads. The call then
 * needs `mcp.<server>.<tool>` on that path, and `file.read` on it as well; the server is given the
 * path that was judged, not the text the caller wrote. `$.paths[*]` is each of a list.
 * @module
 */

import { SysError } from "./errors.ts";
import { parsePattern } from "./grammar.ts";
import type { Json, JsonObject } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { isPathRight, resolvePath, toProviderPath } from "./path.ts";

/** One binding, read from its text. */
export interface Binding {
  /** As it was written. */
  readonly text: string;
  /** The right that the call needs besides its own. */
  readonly right: string;
  /** Names of fields from the arguments down; "*" is each of a list. */
  readonly path: readonly string[];
}

/** A right on one bound resource. */
export interface Bound {
  /** A right on files. */
  readonly right: string;
  /** A canonical path. */
  readonly resource: string;
}

const STEP = /^\.([A-Za-z_][\w-]{0,63})|^\[\*\]/;

/** Reads a binding. Throws `EINVAL`. */
export function parseBinding(text: string): Binding {
  const open = text.indexOf("(");
  const inner = text.slice(open + 1, -1);
  if (open < 1 || !text.endsWith(")") || !inner.startsWith("$.")) wrong(text);
  const { right } = parsePattern(text.slice(0, open));
  // Of other rights there is no canonical text to judge an argument by.
  if (right.includes("*") || !isPathRight(right)) wrong(text);
  const path: string[] = [];
  let rest = inner.slice(1);
  while (rest !== "") {
    const step = STEP.exec(rest);
    if (step === null) wrong(text);
    path.push(step[1] ?? "*");
    rest = rest.slice(step[0].length);
  }
  return { text, right, path };
}

function wrong(text: string): never {
  const expected = 'expected "right($.argument)", such as "file.read($.path)"';
  throw new SysError("EINVAL", `Cannot bind "${text}": ${expected}`);
}

/** Where bound paths are seen from. */
export interface Place {
  /** The working directory of the caller, canonical. */
  readonly cwd: string;
  /** Where the server sees the workspace; null where it does not. */
  readonly root: string | null;
}

/** What a call reaches by its bindings. Throws `EINVAL` where an argument is no such thing. */
export function boundTo(bindings: readonly Binding[], args: JsonObject, place: Place): Bound[] {
  const found = new Map<string, Bound>();
  for (const binding of bindings) {
    const { right } = binding;
    mapped(args, binding, 0, (value) => {
      const resource = resourceIn(value, place);
      found.set(`${right}(${resource})`, { right, resource });
      return value;
    });
  }
  if (found.size > LIMITS.mcpBoundMax) {
    const sentence = `Cannot call the tool: it reaches ${found.size} things at once`;
    throw new SysError("ELIMIT", `${sentence}, expected ${LIMITS.mcpBoundMax} at most`);
  }
  return [...found.values()];
}

/** The arguments as the server gets them: each bound path as it was judged. */
export function asJudged(
  bindings: readonly Binding[],
  args: JsonObject,
  place: Place,
): JsonObject {
  let judged: Json = args;
  for (const binding of bindings) {
    judged = mapped(judged, binding, 0, (value) => {
      const resource = resourceIn(value, place);
      if (place.root === null) return resource;
      const path = toProviderPath(resource);
      return path === "" ? place.root : `${place.root}/${path}`;
    });
  }
  return judged as JsonObject;
}

/** The resource that one bound argument names. */
function resourceIn(value: string, { cwd, root }: Place): string {
  if (root === null || (value !== root && !value.startsWith(`${root}/`))) {
    return resolvePath(cwd, value);
  }
  // The server's own name for it, as it said it in an earlier result.
  return resolvePath(".", value.slice(root.length + 1) || ".");
}

function mapped(
  value: Json,
  binding: Binding,
  depth: number,
  job: (value: string) => string,
): Json {
  const step = binding.path[depth];
  if (step === undefined) {
    if (typeof value !== "string" || value === "") refuse(binding, "a text");
    return job(value);
  }
  if (step === "*") {
    if (!Array.isArray(value)) refuse(binding, "a list");
    return value.map((one) => mapped(one, binding, depth + 1, job));
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    refuse(binding, "an object");
  }
  const object = value as JsonObject;
  if (!Object.hasOwn(object, step)) refuse(binding, "an argument that is there");
  return { ...object, [step]: mapped(object[step]!, binding, depth + 1, job) };
}

function refuse({ text }: Binding, expected: string): never {
  const sentence = `Cannot call the tool: its binding ${text} finds none`;
  throw new SysError("EINVAL", `${sentence}, expected ${expected}`);
}
