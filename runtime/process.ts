/**
 * A handle on a process, as an embedder holds it.
 * @module
 */

import type { BranchEdits } from "../kernel/branch.ts";
import { findPosition, takeCheckpoint } from "../kernel/checkpoint.ts";
import { type Change, changesBetween, type StateSummary, summaryOf } from "../kernel/describe.ts";
import { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import type { BudgetLimits, EndOutcome, Line, SpentKind, Wait } from "../kernel/event.ts";
import { type Pid, type TreeId, treeOf } from "../kernel/ids.ts";
import type { Json } from "../kernel/json.ts";
import { parentOf } from "../kernel/kin.ts";
import { PERSON } from "../kernel/label.ts";
import { type LifeState, lifeState, processOf, type Signal } from "../kernel/process.ts";
import type { Process, State } from "../kernel/state.ts";
import type { ToolDefinition } from "../kernel/generated.ts";
import type { Tree } from "../kernel/tree.ts";
import { closedOver, endings } from "./ending.ts";
import { definitionOf, type ToolInfo, toolsOf } from "./generated.ts";
import { FollowedLog, stateAt } from "./history.ts";
import type { AgentImage } from "./image.ts";
import { readLines } from "./load.ts";
import { lookAt } from "./look.ts";
import { type ReplayCode, type Replayed, replayProcess } from "./replay.ts";
import { commitImage } from "./portable.ts";
import { wholeLines } from "./retention.ts";
import { forkTree } from "./branch.ts";
import { pastOf, type Restored, restoreTree } from "./rewind.ts";
import { type FileUndo, planUndo } from "./undo.ts";
import { leastFor, type Needed, type Otherwise, whatIf } from "./what_if.ts";
import type { Node } from "./node.ts";
import { checkRule, formatPatternOf, milliseconds, type Rule } from "./rule.ts";

/** What can be told of a process. */
export interface ProcessInfo {
  /** `p_3` is the root process of tree 3, `p_3.2` another process of it. */
  readonly pid: Pid;
  /** The process that started it; null for a root. */
  readonly parent: Pid | null;
  /** The tree it belongs to, whose log it is in. */
  readonly tree: TreeId;
  /** `name@version`. */
  readonly image: string;
  /** Where it is in its life. */
  readonly state: LifeState;
  /** What it waits for, and since when. */
  readonly waiting: { readonly on: Wait; readonly sinceMs: number } | null;
  /** How it ended; null while it lives. */
  readonly outcome: EndOutcome | null;
  /** What it is to do. */
  readonly goal: string;
  /** Its working directory as a canonical path: `.` is the workspace. */
  readonly cwd: string;
  /** Words for people, as they were given at its start. */
  readonly labels: Readonly<Record<string, string>>;
  /** Number of the step it is in or ended in; 1 is the first. */
  readonly step: number;
  /** Calls of its whole life: let through, put before a person, refused by authority. */
  readonly calls: { readonly allowed: number; readonly asked: number; readonly denied: number };
  /** What it and all it started have used up. */
  readonly spent: { readonly [K in SpentKind]: number };
  /** Its own limits. Those of its ancestors hold too. */
  readonly budget: BudgetLimits;
  /** Names of its tools, those which a rule hides included. */
  readonly tools: readonly string[];
  /** When it was started, in milliseconds since 1970. */
  readonly startedMs: number;
}

/** What can be told of a process. */
export function info(state: State, process: Process): ProcessInfo {
  const { life } = process;
  const image = state.images[process.image];
  return {
    pid: process.pid,
    parent: parentOf(process, state),
    tree: state.tree,
    image: `${image?.name}@${image?.version}`,
    state: lifeState(life),
    waiting: life.state === "waiting" ? { on: life.on, sinceMs: life.sinceMs } : null,
    outcome: life.state === "ended" ? life.outcome : null,
    goal: process.goal,
    cwd: process.cwd,
    labels: process.labels,
    step: process.step,
    calls: { ...process.calls },
    spent: { ...process.spent },
    budget: process.limits,
    tools: process.tools,
    startedMs: process.startedMs,
  };
}

/** How a process ended. */
export interface ExitStatus {
  /** The process that ended. */
  readonly pid: Pid;
  /** Whether it exited by itself with code 0. */
  readonly ok: boolean;
  /** How it came to its end. */
  readonly outcome: EndOutcome;
  /** What it exited with; null otherwise. */
  readonly result: Json;
  /** What it and all it started have used up. */
  readonly spent: { readonly [K in SpentKind]: number };
}

/**
 * A handle on a process. It does not keep the process alive, nor does dropping it end it.
 *
 * @example
 * ```ts
 * import { createRuntime, defineImage } from "@agent-libos/core";
 * const image = defineImage({
 *   name: "sleeper",
 *   program: async ({ sys }) => {
 *     await sys.clock.sleep({ ms: 86_400_000 });
 *   },
 * });
 * await using os = await createRuntime({ store: ":memory:", workspace: null });
 * const process = await os.spawn(image, { goal: "sleep" });
 * await process.signal("kill", "too long");
 * console.assert((await process.wait()).outcome.kind === "killed");
 * ```
 */
export class AgentProcess {
  /** Its id, good for `runtime.get` after a restart. */
  readonly pid: Pid;
  readonly #node: Node;
  readonly #operator: string;

  /** Made by the runtime. */
  constructor(node: Node, pid: Pid, operator: string) {
    this.#node = node;
    this.pid = pid;
    this.#operator = operator;
  }

  /** Its tree to be read, wherever it is. */
  #look(): Promise<Tree> {
    return lookAt(this.#node, treeOf(this.pid));
  }

  /** What can be told of it now. */
  async info(): Promise<ProcessInfo> {
    const { state } = await this.#look();
    return info(state, processOf(state, this.pid));
  }

  /**
   * Resolves when it has ended, however it ended, on whatever node. Rejects only by the signal,
   * when its tree broke, or with `ESTATE` when the runtime was closed before.
   */
  async wait(options: { readonly signal?: AbortSignal } = {}): Promise<ExitStatus> {
    for await (const { status } of endings(this.#node, this.pid, options)) {
      if (status !== null) return status;
    }
    throw closedOver(this.pid);
  }

  /** Sends a signal to it and all below it. */
  async signal(signal: Signal, reason = ""): Promise<void> {
    await this.#node.order(treeOf(this.pid), {
      kind: "signal",
      pid: this.pid,
      signal,
      reason,
      by: this.#operator,
    });
  }

  /** Sends it a message. */
  async send(
    data: Json,
    options: { readonly type?: string; readonly interrupt?: boolean } = {},
  ): Promise<void> {
    await this.#node.order(treeOf(this.pid), {
      kind: "message",
      to: this.pid,
      from: `person:${this.#operator}`,
      type: options.type ?? "message",
      data,
      interrupt: options.interrupt ?? false,
      replyTo: null,
      label: { ...PERSON },
    });
  }

  /** Its tool table: what its image brought, and what was generated. */
  async tools(): Promise<ToolInfo[]> {
    const tree = await this.#look();
    return await toolsOf(this.#node, tree, processOf(tree.state, this.pid));
  }

  /**
   * A generated tool of its table as data, to be given to `defineImage` or kept in a file. Throws
   * `ENOENT`.
   */
  async tool(name: string): Promise<ToolDefinition> {
    const tree = await this.#look();
    return await definitionOf(this.#node, tree, processOf(tree.state, this.pid), name);
  }

  /** An image of what it has become: its instructions, tools and generated tools, by hash. */
  async commit(name: string, version = "1"): Promise<AgentImage> {
    const tree = await this.#look();
    return await commitImage(this.#node, tree, this.pid, { name, version });
  }

  /** Gives the position its tree is at now a name, to inspect, go back to or branch off from. */
  async checkpoint(name: string): Promise<string> {
    const tree = await this.#node.open(treeOf(this.pid));
    const draft = new Draft(tree, this.#node.options.world.clock.now());
    const id = takeCheckpoint(draft, { name, by: this.#operator });
    tree.commit(draft);
    this.#node.changed(tree);
    await this.#node.durable(tree);
    return id;
  }

  /** What its tree was at a checkpoint or line; nothing is run. Throws `ENOENT`, `EINTEGRITY`. */
  async inspect(at: string | number): Promise<StateSummary> {
    const tree = await this.#look();
    return summaryOf(await stateAt(this.#node, tree, findPosition(tree.state, at)));
  }

  /** What differs in its tree between two checkpoints or lines; `to` is now when absent. */
  async diff(from: string | number, to?: string | number): Promise<readonly Change[]> {
    const tree = await this.#look();
    const state = (at: string | number): Promise<State> =>
      stateAt(this.#node, tree, findPosition(tree.state, at));
    return changesBetween(await state(from), await state(to ?? tree.state.seq));
  }

  /**
   * Takes its whole tree back to a checkpoint or line. What was revoked, spent or answered since
   * stays so; what was done outside is listed. With `files`, files of the workspace are put back,
   * unless somebody else changed them since; without, the answer says what could be put back.
   * Throws `ENOENT`, `ESTATE`, `EAGAIN`.
   */
  async restore(
    to: string | number,
    options: { readonly files?: boolean } = {},
  ): Promise<Restored> {
    const { files = false } = options;
    return await restoreTree(this.#node, treeOf(this.pid), { to, by: this.#operator, files });
  }

  /** What putting files back to a checkpoint or line would do, and what stands against it. */
  async undoPreview(to: string | number): Promise<readonly FileUndo[]> {
    const hosted = await this.#node.hosted(treeOf(this.pid));
    await this.#node.durable(hosted.tree);
    const { files } = this.#node.options.world;
    const { since } = await pastOf(this.#node, hosted, to);
    return files === null ? [] : await planUndo(files, since.touches);
  }

  /**
   * Starts a new tree from a checkpoint or line of its tree, with ids of its own and no authority
   * that could be used twice. Returns its root. Throws `ENOENT`, `ESTATE`, `EINVAL`.
   */
  async fork(at: string | number, edits: BranchEdits = {}): Promise<AgentProcess> {
    const id = treeOf(this.pid);
    const pid = await forkTree(this.#node, id, { at, by: this.#operator, edits });
    return new AgentProcess(this.#node, pid, this.#operator);
  }

  /**
   * Runs its code again over its log as far as line `until`: every call is answered from there, and
   * no effect is sent. Tells where the code of today goes another way.
   */
  async replay(options: { readonly until?: number } = {}): Promise<Replayed> {
    const { context, program, world, table } = this.#node.options;
    const code: ReplayCode = {
      context,
      program,
      tool: (name) => world.tool(name),
      call: (name) => Object.hasOwn(table, name) ? table[name] : undefined,
    };
    const lines = wholeLines(await this.#lines(), this.pid);
    return await replayProcess(lines, this.pid, code, options.until);
  }

  /** The calls of its tree that a policy would have refused or asked about, and did not then. */
  async whatIf(policy: string): Promise<readonly Otherwise[]> {
    return await whatIf(await this.#lines(), policy, this.#node.options.context);
  }

  /** The least authority that would have let it, and all below it, do what it did. */
  async leastAuthority(): Promise<readonly Needed[]> {
    return await leastFor(await this.#lines(), this.pid, this.#node.options.context);
  }

  /** Resolves when the store has all of its tree, as far as it is in memory here. */
  async #written(): Promise<void> {
    const tree = await this.#look();
    if (this.#node.peek(tree.state.tree) === tree) await this.#node.durable(tree);
  }

  async #lines(): Promise<AsyncIterable<Line>> {
    await this.#written();
    return readLines(this.#node.options.store, treeOf(this.pid));
  }

  /** Gives it a right, inside the tree's ceiling. */
  async grant(rule: Rule): Promise<void> {
    checkRule(rule);
    if (rule.effect !== "allow") {
      const expected = 'expected "allow"; load a policy for others';
      throw new SysError("EINVAL", `Cannot grant a rule that says "${rule.effect}": ${expected}`);
    }
    await this.#node.order(treeOf(this.pid), {
      kind: "grant",
      pid: this.pid,
      rule: formatPatternOf(rule),
      ...(rule.uses === undefined ? {} : { uses: rule.uses }),
      ...(rule.expiresIn === undefined ? {} : { forMs: milliseconds(rule.expiresIn) }),
      ...(rule.delegable === undefined ? {} : { delegable: rule.delegable }),
      ...(rule.depth === undefined ? {} : { depth: rule.depth }),
      ...(rule.bytes === undefined ? {} : { bytes: rule.bytes }),
      ...(rule.constraint === undefined ? {} : { constraint: rule.constraint }),
      by: this.#operator,
    });
  }

  /** Takes a capability back, with all that was derived from it. */
  async revoke(capability: string, reason = ""): Promise<void> {
    await this.#node.order(treeOf(this.pid), {
      kind: "revoke",
      capability: capability as `cap_${string}`,
      reason,
      by: this.#operator,
    });
  }

  /**
   * Text as its model writes it, until it has ended or the runtime is closed. Not part of the log:
   * a restart shows none of it.
   */
  async *text(): AsyncIterable<string> {
    const chunks: string[] = [];
    let wake: () => void = () => {};
    const off = this.#node.listenText((pid, chunk) => {
      if (pid !== this.pid) return;
      chunks.push(chunk);
      wake();
    });
    try {
      const wakes = (given: () => void): void => void (wake = given);
      for await (const _ of endings(this.#node, this.pid, { wakes })) {
        while (chunks.length > 0) yield chunks.shift()!;
      }
      yield* chunks;
    } finally {
      off();
    }
  }

  /**
   * Lines of its tree's log that are about it, so far. With `follow` also those to come, each once
   * it is durable, until it has ended or the runtime is closed; rejects by the signal.
   */
  async *events(options: {
    readonly from?: number;
    readonly follow?: boolean;
    readonly signal?: AbortSignal;
  } = {}): AsyncIterable<Line> {
    const { from = 1, follow = false, signal } = options;
    const { store } = this.#node.options;
    await this.#written();
    if (!follow) return yield* this.#mine(readLines(store, treeOf(this.pid), from));
    const log = new FollowedLog(store, treeOf(this.pid), from);
    for await (const _ of endings(this.#node, this.pid, { signal })) {
      yield* this.#mine(log.more());
    }
  }

  async *#mine(lines: AsyncIterable<Line>): AsyncIterable<Line> {
    for await (const line of lines) {
      const { pid } = line.data as { readonly pid?: string };
      if (pid === this.pid) yield line;
    }
  }
}
