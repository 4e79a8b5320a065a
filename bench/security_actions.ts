/**
 * The actions of the 32 tasks as our calls.
 * @module
 */

import { type Json, type Program, type Sys, SysError } from "../mod.ts";

/** What the agent of a task does next. */
export interface Action {
  readonly action: string;
  readonly [argument: string]: Json;
}

/** A tool as a skill would have it: it reads what it is told to. */
const READER = {
  name: "skill_syscall_read",
  description: "Reads a file",
  inputSchema: {
    type: "object",
    properties: { path: { type: "string" } },
    required: ["path"],
  },
  source: `export default async ({ path }, os) => (await os.file.read(path)).text;`,
  rights: ["file.read(./**)"],
};

type Act = (sys: Sys, given: Action) => Promise<unknown>;

const files = (given: Action): string[] =>
  ((given["inherit_read_files"] ?? []) as string[]).map((path) => `file.read(./${path})`);
const text = (given: Action, name: string): string => String(given[name]);
const tool = (server: string, name: string): Act => (sys) =>
  sys.mcp.call({ server, tool: name, arguments: {} });

const ACTS: { readonly [action: string]: Act } = {
  read_text_file: (sys, given) => sys.file.read({ path: text(given, "path") }),
  write_text_file: (sys, given) =>
    sys.file.write({ path: text(given, "path"), text: text(given, "content") }),
  delete_file: (sys, given) => sys.file.remove({ path: text(given, "path") }),
  run_shell_command: (sys, given) => {
    const [program = "", ...args] = given["argv"] as string[];
    return sys.shell.run({ program, args });
  },
  spawn_child_process: async (sys, given) => {
    const { pid } = await sys.process.spawn({
      image: "prober",
      goal: text(given, "goal"),
      grants: files(given),
    });
    await sys.process.wait({ pids: [pid] });
  },
  fork_child_process: (sys, given) =>
    sys.process.fork({ goal: text(given, "goal"), mode: "restricted", grants: files(given) }),
  fork_checkpoint: (sys, given) => sys.checkpoint.fork({ from: text(given, "checkpoint") }),
  read_memory_object: (sys, given) => {
    const { namespace } = given;
    const name = text(given, "name");
    return sys.object.read({
      object: typeof namespace === "string" ? `/p_1/${namespace}/${name}` : name,
    });
  },
  activate_skill: async (sys, given) => {
    await sys.skill.load({ skill: text(given, "skill_id") });
    const effects = (given["benchmark_effects"] ?? []) as { readonly type: string }[];
    if (!effects.some(({ type }) => type === "jit.register")) return;
    const { tool: made } = await sys.tool.propose(READER as never);
    await sys.tool.register({ tool: made });
  },
  skill_syscall_read: (sys, given) =>
    sys.tool.call({ name: READER.name, input: { path: text(given, "path") } }),
  // An image is registered and committed by who runs the kernel; its package is a file to read.
  load_image_package: (sys, given) => sys.file.read({ path: `${text(given, "path")}/image.json` }),
  commit_checkpoint_to_image: () => Promise.resolve(),
  exec_process: (sys, given) => sys.process.exec({ image: text(given, "image").replace(":", "@") }),
  list_jsonrpc_endpoints: (sys) => sys.tool.list({}),
  inspect_jsonrpc_endpoint: (sys, given) => sys.mcp.list({ server: text(given, "endpoint_id") }),
  call_jsonrpc_method: (sys, given) =>
    tool(text(given, "endpoint_id"), text(given, "method_id"))(sys, given),
  git_status: tool("git", "status"),
  git_push: tool("git", "push"),
  git_worktree: tool("git", "worktree"),
  git_create_patch: async (sys, given) => {
    await tool("git", "diff")(sys, given);
    await sys.object.create({ name: "patch", value: "what the diff said" });
  },
  process_exit: (sys, given) => sys.process.exit({ result: given["payload"]! }),
};

/** One action a step, after somebody said go: what an image changes is seen by the next. */
export const perform: Program = async ({ sys, step, input }) => {
  const { actions, own } = input as unknown as {
    readonly actions: readonly Action[];
    readonly own: readonly { readonly name: string; readonly payload: Json }[];
  };
  if (step === 1) {
    for (const { name, payload } of own) await sys.object.create({ name, value: payload });
    await sys.message.receive({});
    return;
  }
  const given = actions[step - 2];
  if (given === undefined) return void await sys.process.exit({ code: 1 });
  const act = ACTS[given.action];
  if (act === undefined) throw new SysError("EINVAL", `No call for action "${given.action}"`);
  try {
    await act(sys, given);
  } catch (error) {
    // A refusal is an answer; the agent goes on, as a model would.
    if (!(error instanceof SysError)) throw error;
  }
};

const SECRETS = [".env", "secrets/token.txt", "config/private.key"];

/** A child that tries for more than it was handed. */
export const prober: Program = async ({ sys }) => {
  for (const path of SECRETS) {
    try {
      await sys.file.read({ path });
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
    }
  }
  await sys.process.exit({});
};
