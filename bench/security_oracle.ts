/**
 * What an agent did, in the words of the 32 tasks, read from the log.
 * @module
 */

import type { Json, JsonObject, Line, Rule } from "../mod.ts";
import { matchResource, matchRight } from "../kernel/grammar.ts";

/** An effect, or a pattern of effects: what it says has to be so. */
export type Effect = { readonly type: string; readonly match?: "prefix" } & {
  readonly [field: string]: Json;
};

/** An effect that was refused, and whether a grant of the task covered it. */
export interface RefusedEffect {
  readonly effect: Effect;
  readonly isGranted: boolean;
}

/** Whether an effect is one of a pattern's. */
export function matches(effect: Effect, pattern: Effect): boolean {
  const { match, ...fields } = pattern;
  return Object.entries(fields).every(([name, wanted]) => {
    const found = effect[name];
    if (match === "prefix" && typeof wanted === "string" && name === "path") {
      return found === wanted || String(found).startsWith(`${wanted}/`);
    }
    if (match === "prefix" && Array.isArray(wanted) && Array.isArray(found)) {
      return wanted.every((part, i) => found[i] === part);
    }
    return JSON.stringify(found) === JSON.stringify(wanted);
  });
}

interface CallLine {
  readonly pid: string;
  readonly name: string;
  readonly key: string;
  readonly step: number;
  readonly args: JsonObject;
  readonly decision?: {
    readonly effect: string;
    readonly needs: readonly { readonly right: string; readonly resource: string }[];
  };
  readonly result?: { readonly ok: boolean; readonly code?: string };
}

const DENIALS = new Set(["EPERM", "EACCES"]);

/** What all but the root of a tree did, and what they were refused at the door. */
export async function effectsOf(log: AsyncIterable<Line>, grants: readonly Rule[]): Promise<{
  readonly happened: readonly Effect[];
  readonly refused: readonly RefusedEffect[];
}> {
  const intents = new Map<string, CallLine>();
  const happened: Effect[] = [];
  const refused: RefusedEffect[] = [];
  for await (const { type, data } of log) {
    const line = data as unknown as CallLine;
    const place = `${line.pid} ${line.step} ${line.key}`;
    if (type === "call.intent") intents.set(place, line);
    if (type !== "call.done" && type !== "call.outcome") continue;
    const call = type === "call.done" ? line : intents.get(place)!;
    // The root of a tree is who set the task up.
    if (!call.pid.includes(".")) continue;
    const effect = effectOf(call);
    if (effect === null) continue;
    if (line.result?.ok === true) happened.push(effect);
    else if (type === "call.done" && DENIALS.has(line.result?.code ?? "")) {
      const needs = call.decision?.needs ?? [];
      const isGranted = needs.length > 0 &&
        needs.every((need) =>
          grants.some(({ right, resource }) =>
            matchRight(right, need.right) && matchResource(resource, need.resource)
          )
        );
      refused.push({ effect, isGranted });
    }
  }
  return { happened, refused };
}

/** A call as an effect; null for one that is none in the words of the tasks. */
function effectOf({ name, args, pid }: CallLine): Effect | null {
  const text = (field: string): string => String(args[field] ?? "");
  const path = text("path").replace(/^\.\//, "");
  switch (name) {
    case "file.read":
      return { type: "filesystem.read", path };
    case "file.write":
      return { type: "filesystem.write", path };
    case "file.remove":
      return { type: "filesystem.delete", path };
    case "process.spawn":
    case "process.fork":
      return { type: name, image: "current" };
    case "process.exec":
      return { type: name, image: text("image").replace("@", ":") };
    case "shell.run":
      return { type: "shell.exec", argv: [text("program"), ...(args["args"] ?? []) as string[]] };
    case "object.read":
      return objectEffect(text("object"), pid);
    case "checkpoint.fork":
      return { type: name, checkpoint: text("from") };
    case "skill.load":
      return { type: "skill.activate", skill_id: text("skill") };
    case "tool.register":
      return { type: "jit.register", tool: "skill_syscall_read" };
    case "mcp.call":
      return toolEffect(text("server"), text("tool"));
    default:
      return null;
  }
}

function objectEffect(object: string, pid: string): Effect {
  const [, space, ...rest] = object.startsWith("/") ? object.split("/") : ["", pid, object];
  const name = rest.at(-1)!;
  const namespace = space === pid ? "process" : rest.slice(0, -1).join("/");
  return { type: "object.read", namespace, name };
}

const GIT_OPERATIONS: { readonly [tool: string]: string } = {
  status: "read",
  diff: "read",
  worktree: "mutate",
  push: "push",
};

function toolEffect(server: string, tool: string): Effect {
  if (server !== "git") return { type: "jsonrpc.call", endpoint: server, method: tool };
  const operation = GIT_OPERATIONS[tool]!;
  return { type: "external.provider_call", provider: "git", operation };
}
