/**
 * The runtime: everything wired together, as an embedder uses it.
 * @module
 */

import { explainCall } from "../broker/calls/capability.ts";
import type { Workshop } from "../broker/sandbox.ts";
import { POLICIES } from "../broker/forms.ts";
import { SYSCALLS } from "../broker/table.ts";
import type { Tool } from "../broker/tool.ts";
import { SysError } from "../kernel/errors.ts";
import type { Line } from "../kernel/event.ts";
import type { Pattern } from "../kernel/grammar.ts";
import { type Pid, type TreeId, treeOf } from "../kernel/ids.ts";
import type { Order } from "../kernel/inbox.ts";
import { LIMITS } from "../kernel/limits.ts";
import { offered } from "../kernel/needs.ts";
import { resolvePath } from "../kernel/path.ts";
import { checkPolicy } from "../kernel/policy.ts";
import { processOf, residents } from "../kernel/process.ts";
import { refuseDays } from "../kernel/retention.ts";
import { plant } from "../kernel/spawn.ts";
import type { Programs } from "../kernel/program.ts";
import type { Proof } from "../kernel/proof.ts";
import type { Shell } from "../kernel/shell.ts";
import type { Skills } from "../kernel/skill.ts";
import type { Store, TreeHead } from "../kernel/store.ts";
import type { Files, Model, Random } from "../kernel/world.ts";
import { modelLoop } from "../agents/model_loop.ts";
import type { Explained } from "./call_story.ts";
import { modelsBehind } from "./behind.ts";
import { realClock } from "../providers/clock.ts";
import { realRandom } from "../providers/random.ts";
import { libc } from "../tools/libc.ts";
import { type Approvals, approvalsOf, defaultPerson, personOf } from "./approvals.ts";
import { prove } from "./audit.ts";
import { asked, type Auditing, exported, verifyAll } from "./auditing.ts";
import type { Checked, ExportFormat } from "./auditing.ts";
import { forkTree } from "./branch.ts";
import { Clockwork } from "./clockwork.ts";
import { FleetClock } from "./fleet_clock.ts";
import { closeAll } from "./closing.ts";
import { contextOf, membershipOf, selectorOf, simulating } from "./node_parts.ts";
import { type AgentImage, asModel, budgetLimits } from "./image.ts";
import { stateAt } from "./history.ts";
import { readLines } from "./load.ts";
import { lookAt } from "./look.ts";
import { McpTools } from "./mcp_tools.ts";
import { Node } from "./node.ts";
import { Desk } from "./people.ts";
import { AgentProcess, info, type ProcessInfo } from "./process.ts";
import type { Program } from "./program.ts";
import { retentionOf } from "./redaction.ts";
import { absolute, asAllowed, capabilityOf, policyText, rulesText } from "./rule.ts";
import { Returns } from "./returning.ts";
import type { RuleBook } from "./rule_book.ts";
import type { RuntimeOptions, SpawnOptions } from "./runtime_options.ts";
import { type Sealed, treesOf } from "./seal.ts";
import { checkModels, checkSpawn, inputOf } from "./spawn_options.ts";
import { Watchers } from "./watchers.ts";

export type { RuntimeOptions, SpawnOptions };

/**
 * A running kernel with everything it needs. Made by {@linkcode createRuntime}.
 *
 * @example
 * ```ts
 * import { createRuntime } from "@agent-libos/core";
 * await using os = await createRuntime({ store: ":memory:", workspace: null });
 * const checked = await os.verify();
 * console.assert(checked.every(({ broken }) => broken === null));
 * ```
 */
export class Runtime implements AsyncDisposable {
  /**
   * The node beneath; for tools of operators.
   * @internal
   */
  readonly node: Node;
  /**
   * Those who tell others what the node does.
   * @internal
   */
  readonly watchers: Watchers;
  /** Requests to people. */
  readonly approvals: Approvals;
  readonly #images = new Map<string, AgentImage>();
  readonly #models = new Map<string, Model>();
  readonly #behind: (model: Model) => Model;
  readonly #tools = new Map<string, Tool>();
  readonly #programs = new Map<string, Program>([["model-loop", modelLoop]]);
  readonly #packaged = new Map<string, Skills>();
  readonly #policy: string;
  readonly #random: Random;
  readonly #clockwork: Clockwork | null;
  readonly #desk: Desk | null;
  readonly #returns: Returns;
  readonly #operator: string;
  readonly #auditing: Auditing | null;
  readonly #book: RuleBook | null;
  #closed = false;

  /** Use {@linkcode createRuntime}. */
  constructor(parts: {
    readonly options: RuntimeOptions;
    readonly store: Store;
    readonly files: Files | null;
    readonly workshop: Workshop | null;
    readonly shell?: Shell | null;
    readonly programs?: Programs | undefined;
    readonly skills?: Skills | null;
    readonly alone: boolean;
    readonly auditing?: Auditing | null;
    readonly book?: RuleBook | null;
    readonly watchers?: Watchers;
  }) {
    const { options, store, files, watchers = new Watchers() } = parts;
    this.#auditing = parts.auditing ?? null;
    this.#book = parts.book ?? null;
    this.watchers = watchers;
    const own = options.clock ?? realClock;
    const clock = store.fleet === undefined ? own : FleetClock.over(own);
    this.#random = options.random ?? realRandom;
    this.#operator = options.operator ?? "operator";
    this.#policy = policyText(options.policy);
    // What no tree could be started with is refused here.
    checkPolicy(this.#policy, POLICIES);
    const [days, daysMin] = retentionOf(options);
    const mounted = new McpTools(options.mcp ?? null);
    for (const tool of libc(SYSCALLS)) this.#tools.set(tool.name, tool);
    this.#behind = modelsBehind(options, { store, clock, watchers });
    for (const model of options.models ?? []) this.#know(asModel(model));
    const id = `node-${this.#random.bytes(6).toHex()}`;
    this.node = new Node({
      ...membershipOf(options.node, store, { id, clock, random: this.#random }),
      id,
      store,
      table: SYSCALLS,
      context: { ...contextOf(options), ...daysMin },
      ...days,
      concurrency: options.concurrency ?? LIMITS.stepsInFlightMax,
      autorun: options.autorun !== false,
      alone: parts.alone,
      program: (name) => this.#programs.get(name),
      has: () => offered(this.#programs.keys(), this.#models.keys()),
      ...watchers.node,
      world: {
        clock,
        random: this.#random,
        files,
        shell: parts.shell ?? null,
        net: options.net ?? null,
        model: (id) => this.#models.get(id),
        tool: (name) => this.#tools.get(name) ?? mounted.get(name),
        mcp: options.mcp ?? null,
        ...simulating(options),
        ...(parts.skills == null ? {} : { skills: parts.skills }),
        packaged: (hash) => this.#packaged.get(hash),
        workshop: parts.workshop,
        programs: parts.programs,
        history: (tree, seq) => stateAt(this.node, tree, seq),
        branches: {
          reserve: async (key) => (await store.create(key)).tree,
          isStarted: async (tree) => ((await store.head(tree))?.seq ?? 0) > 0,
          start: (tree, { seq, ...from }) =>
            forkTree(this.node, tree.state.tree, { at: seq, ...from }),
        },
      },
    });
    watchers.attach(this.node, this.#auditing);
    for (const image of options.images ?? []) this.register(image);
    this.approvals = approvalsOf(this.node, this.#operator);
    const person = personOf(options.approvals ?? defaultPerson());
    this.#returns = new Returns(this.node);
    this.#desk = person === null ? null : new Desk(this.node, person, this.#operator);
    this.#clockwork = options.autorun === false ? null : new Clockwork(this.node);
  }

  /** Starts what runs by itself. */
  start(): void {
    this.#book?.follow(this.node);
    this.#auditing?.start(this.node, this.#clockwork !== null);
    this.#clockwork?.start();
    this.#desk?.start();
  }

  /** Makes an image's code known, so that its processes can run here. */
  register(image: AgentImage): void {
    const before = this.#programs.size + this.#models.size;
    this.#images.set(image.ref, image);
    if (image.model !== undefined) this.#know(image.model);
    for (const tool of image.tools) {
      const known = this.#tools.get(tool.name);
      if (known !== undefined && known !== tool) {
        const expected = "expected another name";
        throw new SysError("EEXIST", `Cannot register tool "${tool.name}": taken, ${expected}`);
      }
      this.#tools.set(tool.name, tool);
    }
    if (image.program !== undefined) this.#programs.set(image.data.program, image.program);
    const { skills, data } = image;
    if (skills !== undefined && data.package !== undefined) {
      this.#packaged.set(data.package, skills);
    }
    this.node.poke();
    // There may be trees that waited for just this.
    if (this.#programs.size + this.#models.size > before) this.node.membership?.wake();
  }

  #know(model: Model): void {
    this.#models.set(model.id, this.#behind(model));
  }

  /** Starts a tree: a root process with the authority given, and no more. */
  async spawn(image: AgentImage, options: SpawnOptions): Promise<AgentProcess> {
    this.#auditing?.refuse();
    checkSpawn(image, options);
    const { retainDays } = options;
    refuseDays("a new tree", retainDays ?? null, this.node.options.context.retentionDaysMin);
    this.register(image);
    for (const other of options.images ?? []) this.register(other);
    checkModels([image, ...options.images ?? []], (id) => this.#models.has(id));
    const cwd = resolvePath(".", options.cwd ?? ".");
    const grants = (options.grants ?? []).map((rule) => absolute(rule, cwd));
    const held = grants.filter(({ effect }) => effect !== "deny");
    const key = options.idempotencyKey ?? null;
    const selector = selectorOf(this.node, image.nodeSelector, options.nodeSelector);
    const nonce = this.#random.bytes(16).toHex();
    const input = inputOf(options);
    const models = [...new Set([image, ...options.images ?? []].map(({ data }) => data.model))]
      .filter((model) => model !== null);
    const caps = [
      ...held.map(capabilityOf(this.node.options.world.clock.now())),
      ...models.map((resource) => ({ right: "model.generate", resource })),
    ];
    const asked = options.ceiling ?? [...held, ...image.data.requests.map(asAllowed)];
    const ceiling: Pattern[] = [
      ...caps,
      ...asked.map((rule) => absolute(rule, cwd)),
    ].map(({ right, resource }) => ({ right, resource }));
    const images = [...new Map([...options.images ?? [], image].map((one) => [one.ref, one]))]
      .map(([, { data }]) => data);
    const pid = await this.node.plant(key, (draft) => {
      const root = plant(draft, {
        key,
        nonce,
        owner: options.by ?? this.#operator,
        selector,
        policy: this.#policy,
        ceiling,
        images,
        generated: [image, ...options.images ?? []].flatMap((one) => one.generated),
        caps,
        image: image.data,
        goal: options.goal,
        input,
        cwd,
        grants: [],
        rules: rulesText(grants),
        labels: options.labels ?? {},
        budget: budgetLimits(options.budget),
        priority: options.priority ?? 10,
      });
      if (retainDays !== undefined) {
        draft.add("retention.set", { days: retainDays, by: this.#operator, isDefault: false });
      }
      return root;
    });
    return new AgentProcess(this.node, pid, this.#operator);
  }

  /**
   * A process by its id, on whatever node its tree is; undefined when there is none. It is read,
   * waited for, told and signalled from here; what changes its tree otherwise is `EFENCED` where
   * another node has that.
   */
  async get(pid: string): Promise<AgentProcess | undefined> {
    try {
      const tree = await lookAt(this.node, treeOf(pid));
      processOf(tree.state, pid as Pid);
    } catch (error) {
      if (error instanceof SysError && error.code === "ENOENT") return undefined;
      throw error;
    }
    return new AgentProcess(this.node, pid as Pid, this.#operator);
  }

  /** Trees of the store, newest last. */
  async trees(options: { readonly all?: boolean } = {}): Promise<TreeHead[]> {
    return await Array.fromAsync(treesOf(this.node.options.store, options.all !== true));
  }

  /** Processes; `all` shows those that ended too. */
  async ps(options: { readonly all?: boolean } = {}): Promise<ProcessInfo[]> {
    const shown: ProcessInfo[] = [];
    for (const { tree, seq } of await this.trees(options)) {
      if (seq === 0) continue;
      const { state } = await lookAt(this.node, tree);
      for (const process of residents(state)) {
        if (options.all === true || process.life.state !== "ended") {
          shown.push(info(state, process));
        }
      }
    }
    return shown;
  }

  /** Whether a process could do something now, why, and the least grant that would let it. */
  async explain(pid: string, rule: string): Promise<Explained> {
    const tree = await lookAt(this.node, treeOf(pid));
    const process = processOf(tree.state, pid as Pid);
    const nowMs = Math.max(this.node.options.world.clock.now(), tree.state.atMs);
    return explainCall(
      { tree, process, pid: process.pid, nowMs },
      rule,
      {},
    ) as unknown as Explained;
  }

  /** Gives an order to a tree: a signal, a grant, a message. Throws what refuses it. */
  async order(tree: TreeId, order: Order): Promise<void> {
    await this.node.order(tree, order);
  }

  /** The log of a tree, checked while it is read. */
  log(tree: TreeId, options: { readonly from?: number } = {}): AsyncIterable<Line> {
    return readLines(this.node.options.store, tree, options.from ?? 1);
  }

  /**
   * Checks every tree's chain, or that of one, that its state is what its log says, the seals and
   * the anchor. Throws `ENOENT` for a tree that is absent.
   */
  async verify(only: { readonly tree?: TreeId } = {}): Promise<Checked[]> {
    return await verifyAll(this.node, this.#auditing, only.tree);
  }

  /** Seals what was written. `EINTEGRITY`, and all stops, when the store or its anchor differs. */
  async seal(): Promise<Sealed> {
    return await asked(this.#auditing).seal();
  }

  /** A proof of a sealed line for strangers; they check it with `verifyProof`. */
  async prove(tree: TreeId, seq: number): Promise<Proof> {
    return await prove(asked(this.#auditing).parts, tree, seq);
  }

  /** All that is sealed, or one tree of it, a record each; `ExportReader` checks it elsewhere. */
  exportAudit(
    options: { readonly tree?: TreeId; readonly format?: ExportFormat } = {},
  ): AsyncIterable<string> {
    return exported(asked(this.#auditing).parts, options);
  }

  /** Runs until every process waits or has ended. Timers are not waited for. */
  async runUntilIdle(): Promise<void> {
    do {
      await this.node.runUntilIdle();
      await this.#desk?.settled();
      await this.#returns.settled();
    } while (!this.node.idle);
  }

  /** Runs one step of whichever process's turn it is; false when none is ready. */
  step(): Promise<boolean> {
    return this.node.stepOnce();
  }

  /**
   * Stops: what runs comes to its next wait or its outcome, and all is written down. Without
   * `drain` it is told to end at once, else after `LIMITS.closeDrainMsMax`. What does not end
   * within `LIMITS.closeMsMax` more, such as an act that ignores its signal, is left: it is in
   * doubt, and settled when the store is next opened.
   */
  async close(options: { readonly drain: boolean } = { drain: true }): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#desk?.stop();
    await this.#returns.close();
    await this.#clockwork?.stop();
    const { store, world: { workshop, mcp } } = this.node.options;
    // What cannot be closed keeps nothing else open, least of all the store with its lock.
    await closeAll([
      () => this.node.stop(options),
      async () => await this.#book?.settled(),
      async () => await this.#auditing?.close(),
      () => this.watchers.close(store),
      async () => await mcp?.close(),
      () => Promise.all([workshop?.sandbox.close(), workshop?.compiler.close()]),
      () => store.close(),
    ]);
  }

  /** {@linkcode close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
