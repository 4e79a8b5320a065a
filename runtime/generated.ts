/**
 * Generated tools as an embedder sees them: what a process has, and a tool as data to carry away.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { ToolDefinition, ToolTest } from "../kernel/generated.ts";
import type { ValueRef } from "../kernel/event.ts";
import type { Json } from "../kernel/json.ts";
import type { Process, ToolRecord } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";

/** Where values are that a tree names only by hash: a node, or whoever reads a store. */
export interface Values {
  /** The value; what is not there is refused. */
  load(tree: Tree, hash: string): Promise<Json>;
}

/** A tool in a process's table. */
export interface ToolInfo {
  /** What models call it. */
  readonly name: string;
  /** "image": code of this runtime. "generated": a model wrote it. */
  readonly origin: "image" | "generated";
  /** SHA-256 of the version; null for a tool of an image. */
  readonly sha256: string | null;
  /** The most a call of it may use; empty for a tool of an image, which has all of its caller's. */
  readonly rights: readonly string[];
  /** Its TypeScript; null for a tool of an image. */
  readonly source: string | null;
}

/** The tools of a process, hidden ones included. */
export async function toolsOf(values: Values, tree: Tree, process: Process): Promise<ToolInfo[]> {
  const found: ToolInfo[] = process.tools.map((name) => ({
    name,
    origin: "image",
    sha256: null,
    rights: [],
    source: null,
  }));
  for (const [name, { hash, rights }] of Object.entries(process.generated)) {
    const record = tree.state.tools[hash]!;
    const source = await load(values, tree, record.source) as string;
    found.push({ name, origin: "generated", sha256: hash, rights, source });
  }
  return found;
}

/** A generated tool of a process as data, for an image or another runtime. `ENOENT`. */
export async function definitionOf(
  values: Values,
  tree: Tree,
  process: Process,
  name: string,
): Promise<ToolDefinition> {
  const held = Object.hasOwn(process.generated, name) ? process.generated[name] : undefined;
  if (held === undefined) {
    const sentence = `Cannot take tool "${name}": no generated tool of "${process.pid}"`;
    throw new SysError("ENOENT", sentence);
  }
  return await readDefinition(values, tree, tree.state.tools[held.hash]!);
}

async function readDefinition(
  values: Values,
  tree: Tree,
  record: ToolRecord,
): Promise<ToolDefinition> {
  const { name, description, inputSchema, outputSchema, rights } = record;
  return {
    name,
    description,
    inputSchema,
    outputSchema,
    rights,
    source: await load(values, tree, record.source) as string,
    code: await load(values, tree, record.code) as string,
    tests: await load(values, tree, record.tests) as unknown as readonly ToolTest[],
  };
}

async function load(values: Values, tree: Tree, ref: ValueRef): Promise<Json> {
  return tree.peek(ref) ?? await values.load(tree, (ref as { readonly hash: string }).hash);
}
