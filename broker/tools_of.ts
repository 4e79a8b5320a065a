/**
 * The tool table of a process: what its image brought, and what was generated.
 * @module
 */

import { matchRight } from "../kernel/grammar.ts";
import { toolNameFor, toolRight } from "../kernel/mcp.ts";
import { hidden } from "../kernel/policy.ts";
import type { HeldTool, ToolRecord } from "../kernel/state.ts";
import { skillSources } from "./skills_of.ts";
import type { CallContext } from "./syscall.ts";
import type { Tool } from "./tool.ts";

type At = Pick<CallContext, "tree" | "process" | "world">;

/** A tool as lists have it; one that was generated has no code here, but a version. */
export type ListedTool =
  & Pick<Tool, "name" | "description" | "inputSchema" | "uses">
  & (
    | (Pick<Tool, "parse" | "execute"> & { readonly generated?: undefined })
    | { readonly execute?: undefined; readonly generated: HeldTool }
  );

/** The tools of a process that no bare deny hides, as this node has their code. */
export function visibleTools(at: At): ListedTool[] {
  const rules = at.tree.lineage(at.process.pid)
    .map((pid) => at.tree.rulesOf(at.tree.state.processes[pid]!));
  const hides = [at.tree.policy, ...rules].map(hidden);
  return allTools(at).filter(({ uses }) => !uses.some((use) => hides.some((hide) => hide(use))));
}

function allTools(at: At): ListedTool[] {
  const tools: ListedTool[] = [];
  for (const name of at.process.tools) {
    const tool = at.world.tool(name);
    if (tool === undefined) continue;
    // Where nothing can be made, models are not told how.
    if (at.world.workshop === null && tool.uses.some((use) => MAKING.has(use))) continue;
    if (!mayUseMcp(at, tool)) continue;
    const { shell, programs } = at.world;
    if (programs === undefined && tool.uses.includes("program.run")) continue;
    if (at.world.simulator === undefined && tool.uses.includes("model.simulate")) continue;
    if (skillSources(at).length === 0 && tool.uses.some((use) => use.startsWith("skill."))) {
      continue;
    }
    if (!tool.uses.includes("shell.run")) tools.push(tool);
    else if (shell !== null) tools.push(shell.confinement().works ? tool : unconfined(tool));
  }
  tools.push(...mountedTools(at));
  for (const name of Object.keys(at.process.generated).sort()) {
    const made = generatedTool(at, name);
    if (made === undefined || at.world.workshop === null) continue;
    const { record, held } = made;
    const { description, inputSchema } = record;
    const uses = held.rights.map((right) => right.slice(0, right.indexOf("(")));
    tools.push({ name, description, inputSchema, uses, generated: held });
  }
  return tools;
}

/** The tool as it is listed where nothing confines what it starts. */
function unconfined(tool: Tool): Tool {
  const description = `${tool.description} (unconfined: what could do harm is asked about)`;
  return { ...tool, description };
}

/** Whether a tool is of no server, or a capability of the process could open what it does. */
function mayUseMcp(at: At, { uses }: Tool): boolean {
  const use = uses.find((one) => one.startsWith("mcp."));
  if (use === undefined) return true;
  if (at.world.mcp === null) return false;
  // What is kept was read.
  const right = use === "mcp.import" ? "mcp.read" : use;
  return heldOfMcp(at).some((one) => matchRight(one, right));
}

/** Rights of the process that could open something of a server. */
function heldOfMcp({ tree, process }: At): string[] {
  return [...tree.caps.heldBy(tree.reach(process.pid))].map(({ right }) => right)
    .filter((right) => right === "*" || right.startsWith("mcp."));
}

/** Tools of mounted servers that a capability of the process could open, as they were pinned. */
function mountedTools(at: At): ListedTool[] {
  const { mcp } = at.world;
  if (mcp === null) return [];
  const opened = heldOfMcp(at);
  if (opened.length === 0) return [];
  return mcp.servers().flatMap(({ name: server, tools }) =>
    tools.flatMap(({ definition: { name }, state }) => {
      const right = toolRight(server, name);
      if (state !== "pinned" || !opened.some((one) => matchRight(one, right))) return [];
      const tool = at.world.tool(toolNameFor(server, name));
      return tool === undefined ? [] : [tool];
    })
  );
}

const MAKING: ReadonlySet<string> = new Set([
  "tool.guide",
  "tool.propose",
  "tool.test",
  "tool.register",
  "tool.unregister",
]);

/** A generated tool of a process by its name. */
export function generatedTool(at: At, name: string): {
  readonly held: HeldTool;
  readonly record: ToolRecord;
} | undefined {
  const { generated } = at.process;
  const held = Object.hasOwn(generated, name) ? generated[name] : undefined;
  const record = held === undefined ? undefined : at.tree.state.tools[held.hash];
  return held === undefined || record === undefined ? undefined : { held, record };
}

/** A tool as its process is shown it. */
export function shownTool(tool: ListedTool): Record<string, unknown> {
  const { name, description, inputSchema, generated } = tool;
  const made = generated === undefined ? null : { tool: generated.hash, rights: generated.rights };
  return { name, description, inputSchema, generated: made };
}
