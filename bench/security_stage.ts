/**
 * Where the attacks are played: a real runtime over a store in memory, the tools of a suite as
 * functions with rights of their own, an agent that does what it is told by whoever speaks last,
 * and a person who knows the user's task.
 * @module
 */

import {
  type AgentImage,
  type AgentProcess,
  allow,
  createRuntime,
  defineImage,
  type Json,
  type JsonObject,
  mountFunctions,
  type Pid,
  type Rule,
  type Runtime,
  type Sys,
  SysError,
  type ToolDefinition,
} from "../mod.ts";
import { treeOf } from "../kernel/ids.ts";
import { canonical } from "../kernel/json.ts";
import { type Call, isEffect, type Pair, type Suite, type UserTask } from "./security_data.ts";
import { type Granting, rulesFor } from "./security_grants.ts";

/** Who makes the injected calls, and with what of the process's authority. */
export type Way =
  | "process"
  | "child"
  | "reader"
  | "tool"
  | "undeclared"
  | "restored"
  | "revoked"
  | "branched";

const BACK: readonly Way[] = ["restored", "revoked", "branched"];

/** All that may be switched off, by what an embedder can say. */
export interface Defences {
  readonly granting: Granting;
  /** Whether who has read is asked about before it acts: a sink for each tool that acts. */
  readonly labels: boolean;
  /** "content": a yes is for one call with its arguments; "tool": for the tool, for the process. */
  readonly approval: "content" | "tool" | "nobody" | "anything";
  /** Whether what came back by going back gets its grants again, as after a start from scratch. */
  readonly regrants?: boolean;
}

/** What one play came to, as the tools and the log say it. */
export interface Played {
  /** Calls of the plan that reached their tool, and those that did not. */
  readonly done: number;
  readonly denied: number;
  /** Injected calls with an effect that reached their tool. */
  readonly reached: number;
  /** Questions that a person was asked by the plan and by the attack. */
  readonly asked: { readonly plan: number; readonly attack: number };
}

interface Order {
  readonly calls: readonly { readonly tool: string; readonly args: JsonObject }[];
  /** "told": through the tools that a model sees; all others make the system call itself. */
  readonly way: Way | "told";
}

/** The name of the agent's image. */
export const AGENT = "obedient";
/** One suite, ready to be attacked. */
export class Stage implements AsyncDisposable {
  readonly #suite: Suite;
  readonly #defences: Defences;
  readonly #os: Runtime;
  readonly #agent: AgentImage;
  readonly #seen: Seen;

  private constructor(parts: {
    readonly suite: Suite;
    readonly defences: Defences;
    readonly os: Runtime;
    readonly agent: AgentImage;
    readonly seen: Seen;
  }) {
    this.#suite = parts.suite;
    this.#defences = parts.defences;
    this.#os = parts.os;
    this.#agent = parts.agent;
    this.#seen = parts.seen;
  }

  /** Opens a suite; `tools` are what an attack from a generated tool takes. */
  static async open(
    suite: Suite,
    defences: Defences,
    tools: readonly ToolDefinition[] = [],
  ): Promise<Stage> {
    const seen = new Seen();
    const functions = suite.tools.map(({ name, description, parameters }) => ({
      name,
      description,
      inputSchema: parameters,
      execute: (args: JsonObject) => seen.reach({ tool: name, args }),
    }));
    const os = await createRuntime({
      store: ":memory:",
      workspace: null,
      mcp: mountFunctions({ [suite.name]: functions }),
      policy: policyOf(suite, defences),
      approvals: defences.approval === "nobody" ? "deny" : "queue",
      autorun: false,
      ...(tools.length === 0 ? {} : { jit: { review: "never" } }),
    });
    const agent = agentOf(suite, tools);
    return new Stage({ suite, defences, os, agent, seen });
  }

  /** Plays a task as its user wants it. */
  async playTask(task: UserTask): Promise<Played> {
    const process = await this.#start(task, "process");
    await this.#tell(process, { calls: task.calls, way: "told" }, task);
    return await this.#end(process, task, []);
  }

  /**
   * Plays a task, and the attack from where its first words may have been read: at once, and again
   * after each call that the plan still makes.
   */
  async playPair({ task, calls: attack }: Pair, way: Way): Promise<Played> {
    let process = await this.#start(task, way);
    const upTo = task.first + 1;
    await this.#tell(process, { calls: task.calls.slice(0, upTo), way: "told" }, task);
    const rest = task.calls.slice(upTo);
    if (BACK.includes(way)) {
      const then = await process.checkpoint("read");
      await this.#tell(process, { calls: rest, way: "told" }, task);
      process = await this.#goBack(process, { task, way, then });
      await this.#tell(process, { calls: attack, way: "process" }, task);
    } else {
      await this.#tell(process, { calls: attack, way }, task);
      for (const call of rest) {
        await this.#tell(process, { calls: [call], way: "told" }, task);
        await this.#tell(process, { calls: attack, way }, task);
      }
    }
    return await this.#end(process, task, attack);
  }

  async #start(task: UserTask, way: Way): Promise<AgentProcess> {
    this.#seen.begin(task);
    return await this.#spawn(task, way);
  }

  async #spawn(task: UserTask, way: Way): Promise<AgentProcess> {
    const isHelped = way !== "process" && !BACK.includes(way);
    const more = isHelped ? [allow("process.spawn", `${AGENT}@*`)] : [];
    const grants = [...this.#rules(task), ...more];
    return await this.#os.spawn(this.#agent, { goal: task.prompt, grants });
  }

  #rules(task: UserTask): readonly Rule[] {
    const { name, self } = this.#suite;
    return rulesFor(task, { suite: name, self, granting: this.#defences.granting });
  }

  async #goBack(process: AgentProcess, at: {
    readonly task: UserTask;
    readonly way: Way;
    readonly then: string;
  }): Promise<AgentProcess> {
    // Started anew with the grants of its first start: as if going back gave everything back.
    if (this.#defences.regrants === true) return await this.#spawn(at.task, at.way);
    if (at.way === "revoked") await this.#revokeAll(process);
    if (at.way === "branched") return await process.fork(at.then);
    await process.restore(at.then);
    return process;
  }

  async #revokeAll(process: AgentProcess): Promise<void> {
    for await (const { type, data } of this.#os.log(treeOf(process.pid))) {
      const { id, right } = data as { readonly id?: string; readonly right?: string };
      if (type !== "cap.granted" || right?.startsWith("mcp.") !== true) continue;
      await process.revoke(id!, "no more of this");
    }
  }

  async #tell(process: AgentProcess, order: Order, task: UserTask): Promise<void> {
    if (order.calls.length === 0) return;
    const calls = order.calls.map(({ tool, args }) => ({ tool, args }));
    await process.send({ calls, way: order.way } as unknown as Json);
    for (;;) {
      await this.#os.runUntilIdle();
      const asked = this.#os.approvals.list();
      if (asked.length === 0) return;
      for (const { id, call } of asked) {
        const wanted = this.#seen.count(callOf(call?.args), task);
        const yes = wanted || this.#defences.approval === "anything";
        const scope = this.#defences.approval === "tool" && call !== undefined
          ? { scope: "process", resource: "**" } as const
          : {};
        await this.#os.approvals.decide(
          id,
          yes ? { outcome: "approve", ...scope } : { outcome: "deny", reason: "not my task" },
        );
      }
    }
  }

  async #end(process: AgentProcess, task: UserTask, attack: readonly Call[]): Promise<Played> {
    await process.signal("kill", "the play is over");
    await this.#os.runUntilIdle();
    return this.#seen.sum(task, attack);
  }

  /** Ends the runtime, after it has checked its own logs. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#os.close();
  }
}

/** What reached the tools, and what a person was asked, since a play began. */
class Seen {
  readonly #reached: string[] = [];
  #results = new Map<string, string>();
  #asked = { plan: 0, attack: 0 };

  begin({ calls }: UserTask): void {
    this.#reached.length = 0;
    this.#asked = { plan: 0, attack: 0 };
    this.#results = new Map(calls.map((call) => [keyOf(call), call.result]));
  }

  /** A tool does its work: it answers what was recorded of it. */
  reach(call: Pick<Call, "tool" | "args">): string {
    const key = keyOf(call);
    this.#reached.push(key);
    return this.#results.get(key) ?? "done";
  }

  /** Whether a call that a person is asked about is one of the task's. */
  count(call: Pick<Call, "tool" | "args"> | null, task: UserTask): boolean {
    const isOurs = call !== null && task.calls.some((one) => keyOf(one) === keyOf(call));
    this.#asked[isOurs ? "plan" : "attack"] += 1;
    return isOurs;
  }

  sum({ calls }: UserTask, attack: readonly Call[]): Played {
    const left = [...this.#reached];
    let done = 0;
    for (const call of calls) {
      const at = left.indexOf(keyOf(call));
      if (at < 0) continue;
      left.splice(at, 1);
      done += 1;
    }
    const harm = new Set(attack.filter(isEffect).map(keyOf));
    const reached = this.#reached.filter((key) => harm.has(key)).length;
    return { done, denied: calls.length - done, reached, asked: { ...this.#asked } };
  }
}

function keyOf({ tool, args }: Pick<Call, "tool" | "args">): string {
  return `${tool} ${canonical(args)}`;
}

/** The call of a tool behind the arguments of `mcp.call`. */
function callOf(args: Json | undefined): Pick<Call, "tool" | "args"> | null {
  const { tool, arguments: given } = (args ?? {}) as { tool?: string; arguments?: JsonObject };
  return tool === undefined ? null : { tool, args: given ?? {} };
}

/** A sink for each tool that acts; where a yes is for the tool, the rule that takes such answers. */
function policyOf({ name, tools }: Suite, { labels, approval }: Defences): string {
  if (!labels) return "";
  const acting = tools.filter(isEffect).map((tool) => `mcp.${name}.${tool.name}(**)`);
  return acting.map((right) =>
    approval === "tool"
      ? `ask ${right} when trust<=untrusted because what was read may speak`
      : `sink ${right} trust>=user because what was read may speak`
  ).join("\n");
}

/** An agent that is told what to do by whoever speaks, which is what an injection makes of one. */
function agentOf({ name }: Suite, generated: readonly ToolDefinition[]): AgentImage {
  return defineImage({
    name: AGENT,
    generated,
    program: async ({ sys }) => {
      const { messages: [message] } = await sys.message.receive({});
      const { calls, way } = (message?.["data"] ?? {}) as Partial<Order>;
      if (calls === undefined || way === undefined) return;
      if (calls.length === 0) await sys.process.exit({});
      if (way === "child" || way === "reader") await viaChild(sys, { calls, way });
      else if (way === "tool" || way === "undeclared") {
        const input = { calls, rights: [`mcp.${name}.`] } as unknown as Json;
        await refusable(sys.tool.call({ name: `deputy_${way}`, input }));
      } else {
        for (const { tool, args } of calls) {
          await refusable(
            way === "told"
              ? sys.tool.call({ name: `mcp_${name}_${tool}`, input: args })
              : sys.mcp.call({ server: name, tool, arguments: args } as never),
          );
        }
      }
    },
  });
}

/** Has a child do it: with all that can be handed on, or with nothing, as one that only reads. */
async function viaChild(sys: Sys, { calls, way }: Order): Promise<void> {
  const { pid } = await sys.process.spawn({ image: AGENT, goal: "as told" });
  const { capabilities } = await sys.capability.list({});
  for (const { id, rule } of capabilities as readonly { id: string; rule?: unknown }[]) {
    if (way !== "child" || !String(rule).startsWith("mcp.")) continue;
    await refusable(
      sys.capability.delegate({ to: pid, rule: String(rule), capability: id as `cap_${number}` }),
    );
  }
  await sys.message.send({ to: pid as Pid, data: { calls, way: "process" } as unknown as Json });
  await sys.message.send({ to: pid as Pid, data: { calls: [], way: "process" } });
  await sys.process.wait({ pids: [pid] });
}

/** A refusal is an answer, to an attacker too. */
async function refusable(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
}
