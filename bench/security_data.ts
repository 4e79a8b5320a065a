/**
 * The published attacks that the security bench plays, as their files have them. They are not part
 * of this repository.
 * @module
 */

import type { Json, JsonObject } from "../mod.ts";

/** Where the files are: `LIBOS_TEST_DATA`, or `shared/data` beside this repository. */
export const DATA: string = Deno.env.get("LIBOS_TEST_DATA") ??
  new URL("../../shared/data", import.meta.url).pathname;

/** What a grant says of one argument. */
export interface Bound {
  readonly equals?: Json;
  readonly url_equals?: string;
  readonly max?: number;
  readonly absent?: true;
  readonly subset_of?: readonly string[];
  readonly self_always_allowed?: boolean;
}

/** A least-privilege grant of a task. */
export interface Grant {
  readonly tool: string;
  readonly effect: string;
  readonly uses: number | null;
  readonly args: { readonly [name: string]: Bound };
}

/** A call of a plan; `effect` "read" is harmless, all others are not. */
export interface Call {
  readonly tool: string;
  readonly args: JsonObject;
  readonly effect: string;
  readonly result: string;
}

/** A user's task with its plan; from `first` on what was read may carry an attack. */
export interface UserTask {
  readonly id: string;
  readonly prompt: string;
  readonly calls: readonly Call[];
  readonly first: number;
  readonly grants: readonly Grant[];
}

/** A tool of a suite. */
export interface SuiteTool {
  readonly name: string;
  readonly description: string;
  readonly parameters: JsonObject;
  readonly effect: string;
}

/** One attack on one task. */
export interface Pair {
  readonly task: UserTask;
  /** Names the attack. */
  readonly attack: string;
  readonly calls: readonly Call[];
  /** How many injected effects the grants of the data let through, as the data says. */
  readonly expected: number | null;
}

/** A suite: tools, tasks, and attacks on them. */
export interface Suite {
  readonly name: string;
  readonly tools: readonly SuiteTool[];
  readonly tasks: readonly UserTask[];
  /** Pairs whose attack acts; the others only say something. */
  readonly pairs: readonly Pair[];
  /** Who the user is, for grants that always allow themselves. */
  readonly self: string | null;
}

const SUITES = ["banking", "slack", "travel", "workspace"] as const;

// deno-lint-ignore no-explicit-any -- files of others, whose shapes are made ours below
type Raw = any;

async function read(path: string): Promise<Raw> {
  return JSON.parse(await Deno.readTextFile(`${DATA}/${path}`));
}

/** Whether the files are there. */
export async function hasData(): Promise<boolean> {
  try {
    await Deno.stat(`${DATA}/agentdojo/v1/banking.json`);
    return true;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return false;
    throw thrown;
  }
}

function callOf({ function: tool, args, effect, result }: Raw): Call {
  return { tool, args, effect, result: String(result ?? "done") };
}

/** The four suites of AgentDojo. */
export async function agentDojo(): Promise<readonly Suite[]> {
  return await Promise.all(SUITES.map(async (name) => {
    const raw = await read(`agentdojo/v1/${name}.json`);
    const world = await read(`agentdojo/v1/${name}.environment.json`);
    const tasks: UserTask[] = raw.user_tasks.map((task: Raw) => ({
      id: task.id,
      prompt: task.prompt,
      calls: task.calls.map(callOf),
      first: task.first_tainted_call,
      grants: task.grants,
    }));
    const attacks = new Map<string, Raw>(raw.injection_tasks.map((one: Raw) => [one.id, one]));
    const pairs = raw.pairs.map((pair: Raw) => ({
      task: tasks.find(({ id }) => id === pair.user_task)!,
      attack: pair.injection_task,
      calls: attacks.get(pair.injection_task).calls.map(callOf),
      expected: pair.expected.injected_effects_allowed_by_grants,
    })).filter(({ calls }: Pair) => calls.some(isEffect));
    return { name, tools: raw.tools, tasks, pairs, self: world.inbox?.account_email ?? null };
  }));
}

/** The 1,054 cases of InjecAgent, as one suite in which every call of an attacker does harm. */
export async function injecAgent(): Promise<Suite> {
  const raw = await read("injecagent.json");
  const tasks = new Map<string, UserTask>(raw.user_cases.map((user: Raw) => [user.id, {
    id: user.id,
    prompt: user.instruction,
    calls: [{ tool: user.tool, args: user.args, effect: "read", result: user.response_template }],
    first: 0,
    grants: user.grants,
  }]));
  const attacks = new Map<string, Raw>(raw.attacker_cases.map((one: Raw) => [one.id, one]));
  const pairs: Pair[] = raw.cases.map((one: Raw) => ({
    task: tasks.get(one.user)!,
    attack: one.attacker,
    calls: attacks.get(one.attacker).calls.map((call: Raw) => ({
      tool: call.tool,
      args: call.args,
      effect: "harm",
      result: "done",
    })),
    expected: 0,
  }));
  const tools = Object.values(raw.tools).map((tool: Raw) => ({
    name: tool.name,
    description: tool.summary,
    // Arguments of attackers are placeholders: a schema would block what a grant is to block.
    parameters: { type: "object" },
    effect: "harm",
  }));
  return { name: "injecagent", tools, tasks: [...tasks.values()], pairs, self: null };
}

/** The 32 tasks of the Python Agent libOS. */
export async function runtimeTasks(): Promise<readonly Raw[]> {
  return (await read("agent-libos-tasks.json")).tasks;
}

/** Whether a call does more than read. */
export function isEffect({ effect }: { readonly effect: string }): boolean {
  return effect !== "read";
}
