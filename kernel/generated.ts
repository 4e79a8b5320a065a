/**
 * Generated tools: what a model wrote, from a proposal to a place in a tool table.
 *
 * Invariants:
 *   J1. A version is its content: its hash covers the contract, the source and the code that runs.
 *   J2. Registering gives no authority: a call has what its caller holds *and* the tool declares.
 *   J3. A version that was revoked is never registered again in its tree, and runs nowhere in it.
 *   J4. What a tool declares lies under the tree's ceiling, or in its author's own memory, or is a
 *       call that takes no capability.
 * @module
 */

import { ceilingAllows } from "./capability.ts";
import { checkConstraint } from "./constraint.ts";
import type { Draft } from "./draft.ts";
import { assert, SysError } from "./errors.ts";
import type { EventMap, ImageData, ValueRef } from "./event.ts";
import { formatPattern, parsePattern, type Pattern } from "./grammar.ts";
import type { Pid } from "./ids.ts";
import { canonical, hashOf, type Json, type JsonObject } from "./json.ts";
import { CAGE_LIMITS, CAGE_LIMITS_MAX, LIMITS } from "./limits.ts";
import { parseGrant } from "./path.ts";
import type { Process, State, ToolRecord } from "./state.ts";

/** One thing that a test expects the tool to ask for, and what it is told. */
export interface ToolTestCall {
  /** Name of the call: `file.read`. */
  readonly name: string;
  /** The exact arguments; absent: any. */
  readonly args?: Json | undefined;
  /** What it answers; null when absent. */
  readonly reply?: Json | undefined;
  /** A refusal in place of a reply. */
  readonly error?: { readonly code: string; readonly message?: string | undefined } | undefined;
}

/** A test of a tool: an input, the calls expected in order, and what has to come out. */
export interface ToolTest {
  /** What it shows. */
  readonly name: string;
  /** What the tool is given. */
  readonly input: Json;
  /** The calls it has to make, in order, and no others. */
  readonly calls: readonly ToolTestCall[];
  /** The exact output; absent: any. */
  readonly output?: Json | undefined;
  /** The code it has to fail with, in place of an output. */
  readonly error?: { readonly code: string } | undefined;
}

/**
 * A generated tool as data: all that is needed to run it anywhere. Authority is not part of it.
 */
export interface ToolDefinition {
  /** What models call it. */
  readonly name: string;
  /** What it does, for the model. */
  readonly description: string;
  /** JSON Schema of its input, which is an object. */
  readonly inputSchema: JsonObject;
  /** JSON Schema of its output; null for any JSON. */
  readonly outputSchema: JsonObject | null;
  /** `right(resource)` each: the most a call of it may use. */
  readonly rights: readonly string[];
  /** TypeScript, as it was written. */
  readonly source: string;
  /** JavaScript that was made of it. */
  readonly code: string;
  /** Its tests. */
  readonly tests: readonly ToolTest[];
}

/** Limits of a run that differ from the usual. */
export type ToolLimits = { readonly [K in keyof typeof CAGE_LIMITS]?: number | undefined };

const TOOL_NAME = /^[a-zA-Z][a-zA-Z0-9_]{0,63}$/;

/** SHA-256 of a definition's canonical text (J1). */
export function toolHash(definition: ToolDefinition): string {
  const { name, description, inputSchema, outputSchema, rights, source, code } = definition;
  const tests = definition.tests as unknown as Json;
  return hashOf({ name, description, inputSchema, outputSchema, rights, source, code, tests });
}

/** Whoever proposes a tool. */
export interface Author extends Pick<Process, "pid" | "cwd"> {
  readonly state: State;
  /** Whether this is the right of a call that nobody needs a capability for. */
  isFree(right: string): boolean;
}

/** Refuses what no sandbox has to look at first: `EINVAL`, `ELIMIT` or `EPERM` (J4). */
export function checkContract(
  author: Author | null,
  tool: Omit<ToolDefinition, "code"> & { readonly taken: readonly string[] },
): void {
  const what = `Cannot propose tool "${tool.name}"`;
  if (!TOOL_NAME.test(tool.name)) {
    throw new SysError("EINVAL", `${what}: expected letters, digits and _ after a letter`);
  }
  if (tool.taken.includes(tool.name)) {
    throw new SysError("EEXIST", `${what}: a tool of the image has this name, expected another`);
  }
  for (const schema of [tool.inputSchema, tool.outputSchema]) {
    if (schema === null) continue;
    checkConstraint(schema);
    if (canonical(schema).length > LIMITS.toolSchemaBytesMax) {
      throw limit(what, "toolSchemaBytesMax", "the schema is too large");
    }
  }
  if (tool.inputSchema["type"] !== "object") {
    throw new SysError("EINVAL", `${what}: expected an input schema of type "object"`);
  }
  if (tool.rights.length > LIMITS.toolRightsMax) {
    throw limit(what, "toolRightsMax", `${tool.rights.length} rights`);
  }
  if (author === null) return;
  for (const text of tool.rights) {
    const pattern = declared(text, author);
    if (author.isFree(pattern.right) || couldHold(author.state, author.pid, pattern)) continue;
    throw new SysError(
      "EPERM",
      `${what}: it declares ${text}, which is over the ceiling of the tree, expected less`,
      { right: pattern.right, resource: pattern.resource },
    );
  }
}

function limit(what: string, name: string, why: string): SysError {
  return new SysError("ELIMIT", `${what}: ${why}`, { limit: name });
}

function couldHold(state: State, pid: Pid, pattern: Pattern): boolean {
  if (ceilingAllows(state.ceiling, pattern)) return true;
  return isMemory(pattern.right) && pattern.resource.startsWith(`${pid}/`);
}

/** A right as a tool declares it; paths and names are relative to the process it is for. */
export function declared(text: string, at: Pick<Process, "pid" | "cwd">): Pattern {
  const pattern = parseGrant(text, at.cwd);
  if (!isMemory(pattern.right) || /^p_\d/.test(pattern.resource)) return pattern;
  return { right: pattern.right, resource: `${at.pid}/${pattern.resource}` };
}

function isMemory(right: string): boolean {
  return right.startsWith("object.") || right.startsWith("namespace.");
}

/** Decides that a version is known from now on; the same content again changes nothing. */
export function propose(draft: Draft, definition: ToolDefinition, by: Pid | "image"): string {
  const { state } = draft.tree;
  const hash = toolHash(definition);
  const lineage = by === "image" ? [] : draft.tree.lineage(by);
  if (visibleVersion({ state, lineage }, hash) !== undefined) return hash;
  const known = Object.keys(state.tools).length;
  if (known >= LIMITS.toolVersionsPerTreeMax && !Object.hasOwn(state.tools, hash)) {
    const what = `Cannot propose tool "${definition.name}"`;
    throw limit(what, "toolVersionsPerTreeMax", `the tree has ${known} versions of tools`);
  }
  const keep = (value: Json, name: string): ValueRef =>
    draft.value(value, LIMITS.objectBytesMax, `the ${name} of a tool`);
  const { name, description, inputSchema, outputSchema, rights, tests } = definition;
  draft.add("tool.proposed", {
    hash,
    name,
    description,
    inputSchema,
    outputSchema,
    rights: [...rights],
    source: keep(definition.source, "source"),
    code: keep(definition.code, "code"),
    tests: keep(tests as unknown as Json, "tests"),
    testCount: tests.length,
    by,
  });
  return hash;
}

/** A version that a process may see: its own, an ancestor's, or an image's. */
export function visibleVersion(draft: {
  readonly state: State;
  readonly lineage: readonly Pid[];
}, hash: string): ToolRecord | undefined {
  const record = Object.hasOwn(draft.state.tools, hash) ? draft.state.tools[hash] : undefined;
  if (record === undefined) return undefined;
  const authors = [record.by, ...record.also];
  return authors.some((by) => by === "image" || draft.lineage.includes(by)) ? record : undefined;
}

/** The declared rights which no person has approved for this process yet, as they would hold. */
export function unapproved(process: Process, record: ToolRecord): readonly string[] {
  return rightsFor(process, record).filter((text) => !process.approved.includes(text));
}

/** The rights of a version as they would hold for a process. */
export function rightsFor(
  at: Pick<Process, "pid" | "cwd">,
  { rights }: Pick<ToolRecord, "rights">,
): readonly string[] {
  return rights.map((text) => formatPattern(declared(text, at)));
}

/** Refuses a registration that nobody's word could open (J3). */
export function checkRegistration(process: Process, given: {
  readonly record: ToolRecord;
  readonly limits: ToolLimits;
}): void {
  const { record } = given;
  const what = `Cannot register tool "${record.name}"`;
  if (record.revoked !== null) {
    const { by, reason } = record.revoked;
    const why = reason === "" ? "" : `: ${reason}`;
    throw new SysError("EACCES", `${what}: ${by} revoked this version${why}`);
  }
  if (process.tools.includes(record.name)) {
    throw new SysError("EEXIST", `${what}: a tool of the image has this name, expected another`);
  }
  if (record.testCount > 0 && record.tested?.failed !== 0) {
    const state = record.tested === null ? "its tests were not run" : "its tests failed";
    throw new SysError("ESTATE", `${what}: ${state}, expected tool.test to pass`);
  }
  const room = LIMITS.toolsPerProcessMax - process.tools.length;
  const others = Object.keys(process.generated).filter((name) => name !== record.name);
  if (others.length >= room) {
    throw limit(what, "toolsPerProcessMax", "the table is full");
  }
  refuseExcess(what, given.limits);
}

/** Decides that a version stands in a process's table, in place of another of its name (J2, J3). */
export function register(draft: Draft, process: Process, given: {
  readonly record: ToolRecord;
  readonly limits: ToolLimits;
  readonly from: EventMap["tool.registered"]["from"];
  readonly reviewed: boolean;
}): void {
  const { record } = given;
  checkRegistration(process, given);
  draft.add("tool.registered", {
    pid: process.pid,
    name: record.name,
    hash: record.hash,
    rights: rightsFor(process, record),
    limits: given.limits,
    from: given.from,
    reviewed: given.reviewed,
  });
}

function refuseExcess(what: string, limits: ToolLimits): void {
  for (const [name, value] of Object.entries(limits)) {
    const max = CAGE_LIMITS_MAX[name as keyof ToolLimits];
    if (value === undefined || value <= max) continue;
    throw limit(what, name, `${name} ${value}, expected ${max} at most`);
  }
}

/** The limits of a call that are above the usual, which takes a right of its own. */
export function raised(
  limits: ToolLimits,
  usual: { readonly [K in keyof typeof CAGE_LIMITS]: number },
): readonly (keyof ToolLimits)[] {
  return (Object.keys(limits) as (keyof ToolLimits)[])
    .filter((name) => (limits[name] ?? 0) > usual[name]);
}

/** Decides that a process has a tool no longer; a run of it is stopped. */
export function unregister(draft: Draft, process: Process, given: {
  readonly name: string;
  readonly by: string;
  readonly reason: string;
}): void {
  if (!Object.hasOwn(process.generated, given.name)) {
    const sentence = `Cannot unregister tool "${given.name}": no generated tool of the own table`;
    throw new SysError("ENOENT", `${sentence}, expected one of tool.list`);
  }
  draft.add("tool.unregistered", { pid: process.pid, ...given });
}

/** Decides that a version is taken back everywhere in the tree (J3). */
export function revokeTool(draft: Draft, given: {
  readonly hash: string;
  readonly by: string;
  readonly reason: string;
}): void {
  const { state } = draft.tree;
  const record = Object.hasOwn(state.tools, given.hash) ? state.tools[given.hash] : undefined;
  if (record === undefined) {
    throw new SysError("ENOENT", `Cannot revoke tool version "${given.hash}": absent`);
  }
  if (record.revoked !== null) {
    throw new SysError("ESTATE", `Cannot revoke tool "${record.name}": revoked already`);
  }
  draft.add("tool.revoked", given);
}

/** Decides that a newborn process has the generated tools of its image. */
export function registerFromImage(
  draft: Draft,
  born: Pick<Process, "pid" | "cwd" | "tools">,
  image: ImageData,
): void {
  for (const { name, hash } of image.generated ?? []) {
    if (isRevoked(draft, hash)) continue;
    const text = rightsOf(draft, hash);
    draft.add("tool.registered", {
      pid: born.pid,
      name,
      hash,
      rights: text.map((each) => formatPattern(declared(each, born))),
      limits: {},
      from: "image",
      reviewed: false,
    });
  }
}

function isRevoked({ tree: { state: { tools } } }: Draft, hash: string): boolean {
  return Object.hasOwn(tools, hash) && tools[hash]!.revoked !== null;
}

/** What a version declares, be it known already or in this draft. */
function rightsOf(draft: Draft, hash: string): readonly string[] {
  const { tools } = draft.tree.state;
  if (Object.hasOwn(tools, hash)) return tools[hash]!.rights;
  const proposed = draft.events.find(({ type, data }) =>
    type === "tool.proposed" && data.hash === hash
  );
  assert(proposed?.type === "tool.proposed", `An image names tool "${hash}", which is not there`);
  return proposed.data.rights;
}

/** Decides that a child sees tools of its parent's table. */
export function inherit(draft: Draft, parent: Process, child: {
  readonly pid: Pid;
  readonly tools: readonly string[];
}, names: readonly string[]): void {
  for (const name of new Set(names)) {
    const held = Object.hasOwn(parent.generated, name) ? parent.generated[name] : undefined;
    if (held === undefined) {
      const sentence = `Cannot hand on tool "${name}": no generated tool of "${parent.pid}"`;
      throw new SysError("ENOENT", `${sentence}, expected one of tool.list`);
    }
    if (child.tools.includes(name)) {
      throw new SysError("EEXIST", `Cannot hand on tool "${name}": the child's image has one`);
    }
    const { hash, limits } = held;
    const from = "parent";
    const rights = held.rights.map((text) => handedOn(text, parent.pid, child.pid));
    draft.add("tool.registered", {
      pid: child.pid,
      name,
      hash,
      rights,
      limits,
      from,
      reviewed: false,
    });
  }
}

/** A right of a parent's tool in its child: the own memory is the child's then. */
function handedOn(text: string, parent: Pid, child: Pid): string {
  const { right, resource } = parsePattern(text);
  if (!isMemory(right) || !resource.startsWith(`${parent}/`)) return text;
  return formatPattern({ right, resource: `${child}${resource.slice(parent.length)}` });
}
