/**
 * `run`: starts an agent, or goes on with those that were started, and shows what they do.
 * @module
 */

import { resolve } from "node:path";
import { SysError } from "../kernel/errors.ts";
import { type Pid, treeOf } from "../kernel/ids.ts";
import { realClock } from "../providers/clock.ts";
import { TerminalPerson } from "../providers/person.ts";
import { oneLine, printable, quoted, shellWord } from "../providers/printable.ts";
import { verifyTree } from "../runtime/load.ts";
import { pendingRequests } from "../runtime/people.ts";
import type { AgentProcess, ExitStatus } from "../runtime/process.ts";
import { openNet } from "../providers/net.ts";
import { createRuntime } from "../runtime/create.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Command, Context } from "./command.ts";
import { CREDENTIAL_OPTIONS, credentialsFor, warnOfCredentials } from "./credential_place.ts";
import { EXIT, type ExitCode, exitOf, UsageError } from "./exit.ts";
import { isFile } from "./files.ts";
import { GATE_OPTION, gateFor } from "./gate_words.ts";
import { modelOf, spawnOptions, type Startable, startableOf } from "./image_file.ts";
import { textOf } from "../runtime/line_text.ts";
import { LiveView } from "./live.ts";
import { mcpFor } from "./mcp_lock_file.ts";
import { operatorOf } from "./order.ts";
import { imagesHere, tellNeeds } from "./package_file.ts";
import { safeJson, safeYaml } from "./output.ts";
import { PRICES_OPTION, pricesFor } from "./prices.ts";
import { matchesText } from "./request_text.ts";
import { findProcess, momentary, storeOf, TREE_CONTEXT, workspaceOf } from "./store.ts";
import { POLICY_FILE, reservedFor } from "./reserved.ts";
import { encryptionFor } from "./store_key.ts";
import { auditOptionsOf } from "./audit_parts.ts";
import { SKILLS_OPTION, skillsFor } from "./skills.ts";
import { telemetryFor } from "./telemetry.ts";
import { jitOptions } from "./tool_file.ts";
import { durationOf } from "./words.ts";

/** `run`. */
export const run: Command = {
  name: "run",
  group: "start",
  usage: 'FILE|IMAGE|agent "goal" [--grant R] [--ask R] [--deny R] [--skills FOLDER] ' +
    "[--prices FILE] | FILE|IMAGE|agent [PID] --resume",
  about: "Start an agent and show what it does, or go on with one",
  examples: [
    "libos run ./hello.ts \"Say hello\" --grant 'file.read(./**)' --ask 'file.write(./out/**)'",
    "libos run ./hello.ts p_1 --resume",
  ],
  options: {
    grant: { type: "string", multiple: true },
    ask: { type: "string", multiple: true },
    deny: { type: "string", multiple: true },
    credential: { type: "string", multiple: true },
    budget: { type: "string", multiple: true },
    model: { type: "string" },
    "model-id": { type: "string" },
    ...GATE_OPTION,
    ...PRICES_OPTION,
    ...SKILLS_OPTION,
    timeout: { type: "string" },
    "no-wait": { type: "boolean" },
    key: { type: "string" },
    resume: { type: "boolean" },
    ...CREDENTIAL_OPTIONS,
    jit: { type: "boolean" },
    isolation: { type: "string" },
    review: { type: "string" },
  },
  words: [1, 2],
  async run(at) {
    const [word, goal] = at.words;
    durationOf(at.flags.text("timeout"));
    const startable = await startableOf(at, word!);
    const isResumed = at.flags.on("resume");
    const meant = isResumed ? "" : goal ?? startable.spawn.goal;
    if (meant === undefined) {
      const expected = `expected one, or --resume to go on with what was started`;
      throw new UsageError(`Cannot run "${word}": no goal, ${expected}`);
    }
    const options = spawnOptions(at, startable.spawn, meant);
    if (!isResumed && startable.package !== undefined) tellNeeds(at, startable.package);
    const isAsking = !at.flags.on("no-wait") && at.io.isInteractive;
    const runtime = await runtimeOf(at, startable, isAsking);
    const session = new Session(at, runtime, { word: word!, isAsking });
    return await session.run(async () =>
      isResumed
        ? await started(runtime, startable, goal)
        : [await runtime.spawn(startable.image, options)]
    );
  },
};

async function runtimeOf(
  at: Context,
  { image, spawn }: Startable,
  isAsking: boolean,
): Promise<Runtime> {
  let runtime: Runtime | undefined = undefined;
  const person = isAsking ? askingPerson(() => runtime) : "queue";
  const model = modelOf(at);
  warnOfCredentials(at);
  const policy = at.flags.text("policy") ??
    (await isFile(at, POLICY_FILE) ? POLICY_FILE : undefined);
  runtime = await createRuntime({
    store: storeOf(at),
    ...momentary(at),
    ...encryptionFor(at),
    ...reservedFor(at),
    workspace: workspaceOf(at),
    images: [...await imagesHere(at), image, ...spawn.images ?? []],
    models: model === undefined ? [] : [model],
    ...gateFor(at),
    ...await pricesFor(at),
    ...skillsFor(at),
    approvals: person,
    operator: operatorOf(at),
    jit: jitOptions(at),
    shell: true,
    net: openNet(credentialsFor(at)),
    programs: true,
    ...await auditOptionsOf(at),
    ...telemetryFor(at),
    ...await mcpFor(at),
    ...(policy === undefined ? {} : { policyFile: resolve(at.io.cwd, policy) }),
  });
  return runtime;
}

/** Somebody at this terminal, who is told what a rule would have matched. */
function askingPerson(runtime: () => Runtime | undefined): TerminalPerson {
  return TerminalPerson.open({
    matches: async ({ id, call }, resource) => {
      const found = await runtime()?.approvals.matches(id, resource);
      return found === undefined ? "" : matchesText(found, call?.right ?? "");
    },
  });
}

/** The live root processes that were started from the image, or the one which was named. */
async function started(
  runtime: Runtime,
  { image }: Startable,
  word: string | undefined,
): Promise<AgentProcess[]> {
  const pids: string[] = [];
  if (word !== undefined) {
    const { tree } = await findProcess(runtime.node.options.store, word);
    pids.push(rootOf(tree.state.tree));
  } else {
    for (const { tree, seq } of await runtime.trees()) {
      if (seq === 0) continue;
      const { state } = await runtime.node.open(tree);
      const root = state.processes[rootOf(tree)];
      const made = state.images[root?.image ?? ""];
      if (`${made?.name}@${made?.version}` === image.ref) pids.push(rootOf(tree));
    }
  }
  if (pids.length === 0) {
    const state = "none is live, expected one that was started before";
    throw new SysError("ENOENT", `Cannot go on with "${image.ref}": ${state}`);
  }
  return (await Promise.all(pids.map((pid) => runtime.get(pid)))).filter((one) =>
    one !== undefined
  );
}

function rootOf(tree: string): Pid {
  return `p_${tree.slice(2)}`;
}

type Ending =
  | { readonly is: "ended"; readonly statuses: readonly ExitStatus[] }
  | { readonly is: "waiting" | "timeout" | "interrupted" };

/** One run of the command: from the start of its processes to what ends it. */
class Session {
  readonly #at: Context;
  readonly #runtime: Runtime;
  readonly #view: LiveView;
  readonly #word: string;
  readonly #stop = new AbortController();
  #interrupts = 0;

  constructor(at: Context, runtime: Runtime, how: {
    readonly word: string;
    readonly isAsking: boolean;
  }) {
    this.#at = at;
    this.#runtime = runtime;
    this.#word = how.word;
    this.#view = new LiveView(at, {
      isAsking: how.isAsking,
      stateOf: (tree) => runtime.node.trees.find(({ state }) => state.tree === tree)?.state,
    });
  }

  async run(start: () => Promise<AgentProcess[]>): Promise<ExitCode> {
    const { node } = this.#runtime;
    let interrupted: () => void = () => {};
    const interrupt = new Promise<Ending>((resolve) => {
      interrupted = () => resolve({ is: "interrupted" });
    });
    const offLines = node.listen((_, lines) => this.#view.hear(lines));
    const offSignal = this.#at.io.onInterrupt(() => {
      this.#interrupts += 1;
      if (this.#interrupts > 1) this.#at.io.exitNow(EXIT.interrupted);
      this.#at.io.err("Stopping after what is under way; once more stops at once\n");
      interrupted();
    });
    try {
      const processes = await start();
      const pids = processes.map(({ pid }) => pid);
      await this.#sayPending(pids);
      const ending = await Promise.race([
        interrupt,
        this.#ended(processes),
        this.#timeout(),
        this.#waiting(pids),
      ]);
      this.#stop.abort();
      if (ending.is === "ended") await this.#summary(pids);
      await this.#runtime.close();
      return this.#tell(ending, pids);
    } finally {
      this.#stop.abort();
      offLines();
      await this.#runtime.close();
      offSignal();
    }
  }

  async #ended(processes: readonly AgentProcess[]): Promise<Ending> {
    const { signal } = this.#stop;
    const waits = processes.map((process) => process.wait({ signal }));
    try {
      return { is: "ended", statuses: await Promise.all(waits) };
    } catch (error) {
      if (signal.aborted) return { is: "interrupted" };
      throw error;
    }
  }

  async #timeout(): Promise<Ending> {
    const ms = durationOf(this.#at.flags.text("timeout"));
    if (ms === undefined) return await never();
    try {
      await realClock.sleep(ms, this.#stop.signal);
    } catch {
      return await never();
    }
    return { is: "timeout" };
  }

  /** Resolves when nothing can go on until a person answers; never, where waiting is wanted. */
  async #waiting(pids: readonly Pid[]): Promise<Ending> {
    if (!this.#at.flags.on("no-wait")) return await never();
    let wake: () => void = () => {};
    const off = this.#runtime.node.listen(() => wake());
    try {
      while (!this.#stop.signal.aborted) {
        const changed = new Promise<void>((resolve) => wake = resolve);
        await this.#runtime.runUntilIdle();
        if (this.#requests(pids).length > 0) return { is: "waiting" };
        await changed;
      }
    } finally {
      off();
    }
    return await never();
  }

  #requests(pids: readonly Pid[]): ReturnType<typeof pendingRequests> {
    const trees = new Set<string>(pids.map(treeOf));
    return pendingRequests(this.#runtime.node.trees)
      .filter(({ tree, request }) => trees.has(tree.state.tree) && request.kind !== "notice");
  }

  /** What waits since an earlier run has no new line that tells of it. */
  async #sayPending(pids: readonly Pid[]): Promise<void> {
    // What is asked in this run is told of with its line, which is heard once it is written.
    const { node } = this.#runtime;
    const trees = pids.map((pid) => node.peek(treeOf(pid)));
    await Promise.all(trees.map((tree) => tree === undefined ? tree : node.durable(tree)));
    for (const { request: { id, kind } } of this.#requests(pids)) {
      if (this.#view.waiting.has(id)) continue;
      this.#view.waiting.add(id);
      this.#view.sayHow(id, kind);
    }
  }

  async #summary(pids: readonly Pid[]): Promise<void> {
    if (!this.#isForPeople()) return;
    const { processes, allowed, asked, denied, tokens, usd } = this.#view.counts;
    const { node } = this.#runtime;
    const chains: string[] = [];
    for (const id of pids.map(treeOf)) {
      await node.durable(await node.open(id));
      const { broken, lines } = await verifyTree(node.options.store, id, TREE_CONTEXT);
      chains.push(broken === null ? `chain OK (${lines} lines)` : `chain BROKEN: ${broken}`);
    }
    const calls = `${allowed} allow, ${asked} ask, ${denied} deny`;
    const cost = usd === 0 ? "" : `$${usd.toFixed(4)}, `;
    const made = `${processes} started · ${calls} · ${cost}${tokens} tokens · ${chains.join(", ")}`;
    this.#at.io.out(`${oneLine(made)}\n`);
  }

  #isForPeople(): boolean {
    const { format, flags } = this.#at;
    return (format === "table" || format === "wide") && !flags.on("quiet");
  }

  #tell(ending: Ending, pids: readonly Pid[]): ExitCode {
    const { io } = this.#at;
    if (ending.is === "ended") {
      for (const status of ending.statuses) this.#tellEnd(status);
      return ending.statuses.map(exitFor).find((exit) => exit !== EXIT.ok) ?? EXIT.ok;
    }
    const waiting = [...this.#view.waiting];
    if (waiting.length > 0) io.err(`Waits for an answer: ${waiting.join(", ")}\n`);
    const jit = this.#at.flags.on("jit") ? " --jit" : "";
    const word = shellWord(this.#word);
    for (const pid of pids) io.err(`Go on with: libos run ${word} ${pid} --resume${jit}\n`);
    switch (ending.is) {
      case "waiting":
        return EXIT.waiting;
      case "timeout":
        return EXIT.timeout;
      case "interrupted":
        return EXIT.interrupted;
    }
  }

  #tellEnd(status: ExitStatus): void {
    const { io, format, flags } = this.#at;
    const { pid, outcome, result, spent } = status;
    if (format === "json") io.out(`${safeJson({ pid, outcome, result, spent }, 2)}\n`);
    else if (format === "yaml") io.out(safeYaml({ pid, outcome, result, spent }));
    else if (format === "name") io.out(`${pid}\n`);
    else if (flags.on("quiet")) {
      if (result !== null) io.out(`${printable(textOf(result))}\n`);
    } else if (format !== "jsonl") {
      if (result !== null) io.out(`result\n${quoted(textOf(result), Infinity).text}\n`);
      io.out(`Next: libos ps -a · libos logs ${pid} · libos explain SEQ --tree ${treeOf(pid)}\n`);
    }
    // The kernel says what an embedder would have to do; here it is an option.
    const isJitless = outcome.kind === "failed" && /runs no generated tools/.test(outcome.message);
    if (isJitless) io.err("Try: libos run with --jit, so that agents can make tools\n");
    if (outcome.kind === "failed" && !this.#isForPeople()) {
      io.err(`error: ${oneLine(outcome.message)} [${outcome.code}]\n`);
    }
  }
}

function exitFor({ outcome }: ExitStatus): ExitCode {
  switch (outcome.kind) {
    case "exited":
      return outcome.code === 0 ? EXIT.ok : EXIT.error;
    case "failed":
      return exitOf(outcome.code);
    case "canceled":
    case "killed":
      return EXIT.error;
  }
}

function never(): Promise<never> {
  return new Promise(() => {});
}
