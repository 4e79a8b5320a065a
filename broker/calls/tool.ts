/**
 * Tools: what the caller's model may see, and calling one.
 * @module
 */

import { z } from "zod";
import { SysError, toOutcome } from "../../kernel/errors.ts";
import { hidden, suggest } from "../../kernel/policy.ts";
import { jsonObjectShape, jsonShape, nothing } from "../shapes.ts";
import { clientOver } from "../client.ts";
import { type CallContext, syscall } from "../syscall.ts";
import type { Tool } from "../tool.ts";

/** The tools of a process that no bare deny hides, as this node has their code. */
export function visibleTools(at: Pick<CallContext, "tree" | "process" | "world">): Tool[] {
  const rules = at.tree.lineage(at.process.pid)
    .map((pid) => at.tree.rulesOf(at.tree.state.processes[pid]!));
  const hides = [at.tree.policy, ...rules].map(hidden);
  const tools: Tool[] = [];
  for (const name of at.process.tools) {
    const tool = at.world.tool(name);
    if (tool === undefined) continue;
    if (!tool.uses.some((use) => hides.some((hide) => hide(use)))) tools.push(tool);
  }
  return tools;
}

/** Calls on tools. */
export const toolCalls = {
  "tool.list": syscall({
    about: "List the tools in the own tool table",
    effect: "observe",
    args: nothing,
    reply: z.strictObject({
      tools: z.array(z.strictObject({
        name: z.string(),
        description: z.string(),
        inputSchema: jsonObjectShape,
      })),
    }),
    needs: () => [],
    run: (at) => ({
      tools: visibleTools(at).map(({ name, description, inputSchema }) => ({
        name,
        description,
        inputSchema,
      })),
    }),
  }),
  "tool.call": syscall({
    about: "Call a tool of the own tool table",
    effect: "mutate",
    args: z.strictObject({ name: z.string().min(1).max(128), input: jsonShape.optional() }),
    reply: z.strictObject({ output: jsonShape }),
    cost: () => ({ toolCalls: 1 }),
    needs: () => [],
    async compose(at, args) {
      const visible = visibleTools(at);
      const tool = visible.find(({ name }) => name === args.name);
      if (tool === undefined) {
        const near = suggest(args.name, visible.map(({ name }) => name));
        const hint = near === undefined
          ? "tool.list shows what there is"
          : `did you mean "${near}"`;
        throw new SysError("ENOSYS", `Cannot call tool "${args.name}": not in the table; ${hint}`);
      }
      const input = await tool.parse(args.input ?? {});
      at.book({ toolCalls: 1 });
      try {
        const output = await tool.execute(input, {
          pid: at.pid,
          call: at.call,
          sys: clientOver(at.sys),
          signal: at.signal,
          idempotencyKey: at.idempotencyKey,
        });
        return { output: output ?? null };
      } catch (error) {
        if (error instanceof SysError) throw error;
        const { message } = toOutcome(error);
        throw new SysError("EIO", `Cannot finish tool "${args.name}": ${message}`);
      }
    },
  }),
};
