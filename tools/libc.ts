/**
 * Libc: the tools that models see, one for each system call that is useful to them.
 *
 * A tool holds no authority: it hands its input to the door, and the door decides.
 * @module
 */

import { z } from "zod";
import type { Tool } from "../broker/tool.ts";
import type { JsonObject } from "../kernel/json.ts";
import { fetchTool } from "./net.ts";

/** A call as its record in the table says. */
interface CallRecord {
  readonly about: string;
  readonly args: z.ZodType;
}

/** Calls that models get as tools by default. The loop itself makes the others. */
export const LIBC_CALLS = [
  "file.read",
  "file.list",
  "file.stat",
  "file.write",
  "file.mkdir",
  "file.move",
  "file.remove",
  "shell.run",
  "net.fetch",
  "object.create",
  "object.read",
  "object.write",
  "object.append",
  "object.delete",
  "object.list",
  "object.find",
  "object.link",
  "object.import",
  "object.export",
  "context.pin",
  "context.unpin",
  "process.spawn",
  "process.fork",
  "process.wait",
  "process.exit",
  "process.signal",
  "process.list",
  "process.inspect",
  "process.chdir",
  "message.send",
  "message.receive",
  "human.ask",
  "human.tell",
  "clock.now",
  "clock.sleep",
  "random.bytes",
  "capability.list",
  "capability.explain",
  "capability.delegate",
  "capability.revoke",
  "capability.request",
  "namespace.create",
  "budget.inspect",
  "budget.raise",
  "checkpoint.create",
  "checkpoint.list",
  "skill.list",
  "skill.load",
  "skill.read",
  "skill.unload",
  "mcp.list",
  "mcp.read",
  "mcp.import",
  "model.simulate",
  "tool.guide",
  "tool.propose",
  "tool.test",
  "tool.register",
  "tool.unregister",
  "program.run",
] as const;

/** The tool name of a call: `file_read` for `file.read`. */
export function toolName(call: string): string {
  return call.replace(".", "_");
}

/** The JSON Schema of a call's arguments, as models are shown it. */
export function argumentsSchema(args: z.ZodType): JsonObject {
  const schema = z.toJSONSchema(args, {
    io: "input",
    unrepresentable: "any",
    override({ zodSchema, jsonSchema }) {
      if (zodSchema._zod.def.type === "custom") jsonSchema.type = "string";
      delete jsonSchema["tsType"];
    },
  });
  const { $schema: _, ...rest } = schema as Record<string, unknown>;
  return JSON.parse(JSON.stringify(rest)) as JsonObject;
}

/** Makes the tools over a table of calls. */
export function libc(table: Readonly<Record<string, CallRecord>>): Tool[] {
  return LIBC_CALLS.map((call) => {
    const record = table[call]!;
    const shown = {
      name: toolName(call),
      description: record.about,
      inputSchema: argumentsSchema(record.args),
    };
    if (call === "net.fetch") return fetchTool(shown);
    return {
      ...shown,
      uses: [call],
      parse: (input) => input,
      execute: (input, { sys }) => sys(call as never, input as never),
    };
  });
}
