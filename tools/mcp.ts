/**
 * A tool of a mounted MCP server as models see it: the call, and the questions that come up in it.
 *
 * What a server asks, a person is asked in the caller's name, by the caller's own right to ask. A
 * question that nobody answers, or that the caller may not ask, is declined.
 * @module
 */

import type { Sys } from "../broker/client.ts";
import type { Tool } from "../broker/tool.ts";
import type { Json, JsonObject } from "../kernel/json.ts";
import type { McpAnswer, McpQuestion, McpReply } from "../kernel/mcp.ts";

/** Rounds of questions that one call may take. */
const ROUNDS_MAX = 8;

/** Makes the tool. */
export function mcpTool(of: {
  readonly server: string;
  readonly tool: string;
  /** What models call it. */
  readonly name: string;
  readonly description: string;
  readonly inputSchema: JsonObject;
  /** Its right, which a bare deny hides. */
  readonly right: string;
}): Tool {
  const { server, tool, name, description, inputSchema, right } = of;
  return {
    name,
    description,
    inputSchema,
    uses: ["mcp.call", right],
    parse: (input) => input ?? {},
    async execute(input, { sys }) {
      const replies: Record<string, McpReply> = {};
      let state: string | null = null;
      for (let round = 0;; round++) {
        const given = {
          server,
          tool,
          arguments: input as JsonObject,
          replies: { ...replies },
          state,
        };
        const answer = await sys("mcp.call", given as never) as unknown as McpAnswer;
        if (answer.kind === "done") {
          const { content, structured, isError } = answer;
          return { content, ...structured === null ? {} : { structured }, isError };
        }
        for (const question of answer.questions) {
          replies[question.key] = round < ROUNDS_MAX
            ? await asked(sys, server, question)
            : { action: "cancel" };
        }
        state = answer.state;
        if (round > ROUNDS_MAX) {
          return { content: [], isError: true, asks: answer.questions.length };
        }
      }
    },
  };
}

async function asked(sys: Sys, server: string, question: McpQuestion): Promise<McpReply> {
  const { message, schema } = question;
  const prompt = `MCP server ${server} asks: ${message}`;
  try {
    const { answer } = await sys("human.ask", { prompt, schema });
    // A form without a field is a yes.
    const content: Json = typeof answer === "object" ? answer : {};
    return { action: "accept", content: content ?? {} };
  } catch (error) {
    const { code } = error as { readonly code?: string };
    if (code === "EACCES" || code === "EPERM") return { action: "decline" };
    if (code === "EEXPIRED") return { action: "cancel" };
    throw error;
  }
}
