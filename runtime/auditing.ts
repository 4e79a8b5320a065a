/**
 * Auditing: how a runtime keeps its store under seal while it runs.
 *
 * The first seal is made before any process goes on, so that a store which was set back, or whose
 * history was changed, is not run at all. Then a seal is made at each interval in which something
 * was written, and the last one when the runtime closes.
 *
 * Invariants:
 *   U1. After a seal was refused with `EINTEGRITY` nothing more is sealed or started: every tree
 *       stops where it is, and a new runtime is refused, too, until a person has looked.
 *   U2. A tree whose log was changed stops, and the others go on.
 *   U3. What keeps a seal from being made and may pass (a full disk, another who seals) stops
 *       nothing: it is told of, and the next seal covers what was missed.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { cloudEvent } from "../kernel/export.ts";
import { type Fault, faultAt } from "../kernel/history.ts";
import type { TreeId } from "../kernel/ids.ts";
import { canonical } from "../kernel/json.ts";
import { parseJson } from "../kernel/parse.ts";
import { MemoryAuditStore } from "../kernel/seal.ts";
import type { Anchor, AuditStore, Signer, Trust } from "../kernel/seal.ts";
import type { Store } from "../kernel/store.ts";
import type { Clock, Random } from "../kernel/world.ts";
import { HttpAnchor } from "../providers/anchor.ts";
import { realClock } from "../providers/clock.ts";
import { MemoryStore } from "../providers/memory_store.ts";
import { realRandom } from "../providers/random.ts";
import { checkSignature, FileAnchor, SigningKey } from "../providers/signing.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { type AuditReport, type Checking, exportAudit, verifyStore } from "./audit.ts";
import { absentTree, type Verified, verifyTree } from "./load.ts";
import type { Node } from "./node.ts";
import { type Pace, paceOf } from "./pace.ts";
import { type Duration, milliseconds } from "./rule.ts";
import { type Audited, seal, type Sealed, type Sealing, treesOf } from "./seal.ts";

/** Lines that are checked between two turns of the event loop. */
const LINES_A_TURN = 256;

/**
 * How a runtime keeps its store under seal.
 *
 * @example
 * ```ts
 * import { createRuntime } from "@agent-libos/core";
 * await using os = await createRuntime({
 *   store: ":memory:",
 *   workspace: null,
 *   audit: { every: "10s", onFault: ({ message }) => console.error(message) },
 * });
 * console.assert((await os.verify()).every(({ broken }) => broken === null));
 * ```
 */
export interface AuditOptions {
  /**
   * The file of the key that signs, readable by its owner only. Made when neither it nor a seal is
   * there. "⟨store⟩.key" by default; a store in memory has a key in memory.
   */
  readonly keyFile?: string;
  /** How often what was written is sealed; "1m" by default. */
  readonly every?: Duration;
  /** Where signed heads are kept besides: a file, an http(s) URL, or an anchor of your own. */
  readonly anchor?: Anchor | string;
  /** Where the seals are kept, for a store of your own. */
  readonly store?: AuditStore;
  /** Hears what keeps the store, or a tree of it, from being sealed. Once for each sentence. */
  readonly onFault?: (fault: SysError) => void;
}

/** How lines are handed out: our own records, or CloudEvents 1.0 in JSON, one a line. */
export type ExportFormat = "jsonl" | "cloudevents";

/** What verifying found of a tree, or of the seals (`tree` is null, `lines` counts its leaves). */
export interface Checked extends Omit<Verified, "tree"> {
  /** The tree; null for the seals of all trees, which is the last entry. */
  readonly tree: TreeId | null;
}

/** How often a seal is tried again when another sealed meanwhile. */
const TRIES_MAX = 5;

/** Seals, and tries again when another sealed meanwhile. `parts` is asked for each try. */
export async function sealAgain(parts: () => Sealing): Promise<Sealed> {
  for (let tries = 1;; tries++) {
    try {
      return await seal(parts());
    } catch (error) {
      const isLate = error instanceof SysError && error.code === "ESTALE" && tries < TRIES_MAX;
      if (!isLate) throw error;
    }
  }
}

/**
 * The key in a file, which is made unless the history has been signed already: then it is lost, or
 * elsewhere, and another one could not go on with it.
 */
export async function openKey(
  path: string,
  audit: AuditStore,
  world: { readonly clock: Clock; readonly random: Random },
): Promise<SigningKey> {
  try {
    return SigningKey.load(path);
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== "ENOENT") throw error;
  }
  const last = await audit.last();
  if (last === undefined) return SigningKey.create(path, world);
  const { size, key } = last.head;
  const sentence = `Cannot use key file "${path}": absent, and ${size} leaves are signed already`;
  throw new SysError("ENOENT", `${sentence}, expected the file of key "${key}"`);
}

/** An anchor as an embedder names it. */
export function anchorOf(given: Anchor | string): Anchor {
  if (typeof given !== "string") return given;
  return /^https?:\/\//.test(given) ? new HttpAnchor(given) : new FileAnchor(given);
}

/** A store's check that answers whatever it finds, a history that cannot be read included. */
export async function auditReport(
  parts: Checking,
  trust: Trust,
): Promise<AuditReport> {
  try {
    return await verifyStore(parts, trust);
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== "EINTEGRITY") throw error;
    const faults = [faultAt(null, error.message)];
    return { trees: 0, lines: 0, unsealed: 0, head: null, anchored: 0, faults };
  }
}

/** A fault as a sentence. */
export function faultText({ tree, seq, leaf, why }: Fault): string {
  if (tree !== null) return `tree "${tree}"${seq === null ? "" : ` line ${seq}`}: ${why}`;
  return leaf === null ? why : `leaf ${leaf} of the history: ${why}`;
}

/** What is sealed, in one of the formats; each record is without its line feed. */
export async function* exported(
  parts: Audited,
  options: { readonly tree?: TreeId; readonly format?: ExportFormat } = {},
): AsyncGenerator<string> {
  const { tree = null, format = "jsonl" } = options;
  const records = exportAudit(parts, tree);
  if (format === "jsonl") return yield* records;
  const start = parseJson((await records.next()).value!) as { readonly log: string };
  for await (const record of records) {
    // As `kernel/export.ts` says: only lines have no "/" in their type.
    if (!record.endsWith('/1"}')) yield canonical(cloudEvent(record, start.log));
  }
}

/** Keeps the store of one runtime under seal. */
export class Auditing {
  /** The store and its history. */
  readonly parts: Audited;
  readonly #options: AuditOptions;
  readonly #anchors: readonly Anchor[];
  readonly #clock: Clock;
  readonly #signer: () => Signer;
  readonly #everyMs: number;
  readonly #stop = new AbortController();
  readonly #told = new Set<string>();
  #node: Node | null = null;
  #running: Promise<void> = Promise.resolve();
  #turn: Promise<unknown> = Promise.resolve();
  /** Something was written, or an anchor did not hear of it, since the last seal. */
  #isDue = false;
  /** When the oldest line came that no seal covers. */
  #sinceMs: number | null = null;
  #refusal: SysError | null = null;

  /** Use {@linkcode openAuditing}. */
  constructor(parts: Audited, options: AuditOptions, how: {
    readonly clock: Clock;
    signer(): Signer;
  }) {
    this.parts = parts;
    this.#options = options;
    this.#anchors = options.anchor === undefined ? [] : [anchorOf(options.anchor)];
    this.#clock = how.clock;
    this.#signer = () => how.signer();
    this.#everyMs = Math.max(1, milliseconds(options.every ?? "1m"));
  }

  /** Throws what ended all sealing (U1). */
  refuse(): void {
    if (this.#refusal !== null) throw this.#refusal;
  }

  /** How long the oldest line has waited that no seal covers; 0 when all are covered. */
  lagMs(): number {
    return this.#sinceMs === null ? 0 : this.#clock.now() - this.#sinceMs;
  }

  /** Seals what this node writes; by the clock, when `timed`. */
  start(node: Node, timed: boolean): void {
    this.#node = node;
    node.listen(() => {
      this.#isDue = true;
      this.#sinceMs ??= this.#clock.now();
    });
    if (timed) this.#running = this.#run();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && this.#refusal === null) {
      await this.#clock.sleep(this.#everyMs, signal).catch(() => {});
      if (signal.aborted || !this.#isDue) continue;
      // Told of already; what may pass is tried again.
      await this.seal().catch((error) => {
        if (!(error instanceof SysError)) throw error;
      });
    }
  }

  /** Seals now; two at once seal one after the other. */
  seal(): Promise<Sealed> {
    const turn = this.#turn.then(() => this.#seal());
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #seal(): Promise<Sealed> {
    this.refuse();
    const node = this.#node;
    if (node !== null) {
      await Promise.all(node.trees.map((tree) => node.durable(tree).catch(() => {})));
    }
    this.#isDue = false;
    const sinceMs = this.#sinceMs;
    this.#sinceMs = null;
    try {
      const sealed = await sealAgain(() => ({
        ...this.parts,
        signer: this.#signer(),
        clock: this.#clock,
        check: checkSignature,
        anchors: this.#anchors,
      }));
      if (sealed.unanchored.length > 0) this.#isDue = true;
      for (const fault of sealed.faults) this.#stopTree(fault);
      for (const why of sealed.unanchored) this.#tell(new SysError("EIO", why));
      return sealed;
    } catch (error) {
      this.#isDue = true;
      this.#sinceMs = sinceMs ?? this.#sinceMs;
      if (!(error instanceof SysError)) throw error;
      if (error.code === "EINTEGRITY") this.#stopAll(error);
      this.#tell(error);
      throw error;
    }
  }

  /** A tree whose log was changed runs on from what nobody can check any more (U2). */
  #stopTree(fault: Fault): void {
    const sentence = `Cannot seal the store: ${faultText(fault)}`;
    const error = new SysError("EINTEGRITY", `${sentence}, expected what was written`, {
      tree: fault.tree,
      seq: fault.seq,
    });
    if (fault.tree !== null) this.#node?.bar(fault.tree, error);
    this.#tell(error);
  }

  /** Nothing that runs goes on, and nothing is started (U1). */
  #stopAll(error: SysError): void {
    this.#refusal = error;
    const node = this.#node;
    if (node === null) return;
    for (const tree of node.trees) node.halt(tree, error);
    // Soon, so that whoever waits for a process hears why it stopped, and not that all is closed.
    this.#clock.soon(() => void node.stop({ drain: false }).catch(() => {}));
  }

  #tell(error: SysError): void {
    if (this.#told.has(error.message)) return;
    this.#told.add(error.message);
    this.#options.onFault?.(error);
  }

  /** Checks the logs, the seals and the anchor. */
  report(pace?: Pace): Promise<AuditReport> {
    const keys = [this.#signer().keys[0]!.key];
    const parts = {
      ...this.parts,
      anchors: this.#anchors,
      ...(pace === undefined ? {} : { pace }),
    };
    return auditReport(parts, { keys, check: checkSignature });
  }

  /** Ends the timer and seals for the last time. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.seal();
  }
}

/** Opens the key and the history of a store, and seals what is there. Without `audit`: null. */
export async function openAuditing(store: Store, given: {
  readonly audit?: AuditOptions;
  readonly clock?: Clock;
  readonly random?: Random;
}): Promise<Auditing | null> {
  const { audit: options, clock = realClock, random = realRandom } = given;
  if (options === undefined) return null;
  const audit = options.store ?? historyOf(store);
  const world = { clock, random };
  const path = options.keyFile ?? keyPath(store);
  const first = path === null ? SigningKey.inMemory(world) : await openKey(path, audit, world);
  // Read again for each seal: it may have been rotated.
  const signer = (): Signer => path === null ? first : SigningKey.load(path);
  const auditing = new Auditing({ store, audit }, options, { clock, signer });
  await auditing.seal();
  return auditing;
}

function historyOf(store: Store): AuditStore {
  const audit = store.audit?.();
  if (audit !== undefined) return audit;
  if (store instanceof MemoryStore) return new MemoryAuditStore();
  const state = "it has no place for seals";
  throw new SysError(
    "EINVAL",
    `Cannot audit store "${store.name}": ${state}, expected one in audit.store`,
  );
}

/** Where the key of a store is; null for a key that ends with the store. */
function keyPath(store: Store): string | null {
  if (store instanceof MemoryStore) return null;
  const path = store instanceof SqliteStore ? store.path : null;
  if (path !== null) return path === ":memory:" ? null : `${path}.key`;
  const state = "it has no file to put a key beside";
  throw new SysError(
    "EINVAL",
    `Cannot audit store "${store.name}": ${state}, expected one in audit.keyFile`,
  );
}

/** Auditing that was asked for; `ESTATE` without. */
export function asked(auditing: Auditing | null): Auditing {
  if (auditing !== null) return auditing;
  const state = "the runtime was made without audit, expected createRuntime({ audit: {} })";
  throw new SysError("ESTATE", `Cannot seal the store: ${state}`);
}

/**
 * Checks every tree's chain, or that of one, that its state is what its log says, and the seals, if
 * there are. Throws `ENOENT` for one that is neither in the store nor sealed.
 */
export async function verifyAll(
  node: Node,
  auditing: Auditing | null,
  only?: TreeId,
): Promise<Checked[]> {
  await Promise.all(node.trees.map((tree) => node.durable(tree)));
  const { store, context, world } = node.options;
  // A store may be large, and whoever has it checked must not hold up all that runs on it.
  const pace = paceOf(world.clock, LINES_A_TURN);
  const found: Checked[] = [];
  for await (const { tree } of treesOf(store)) {
    if (only !== undefined && tree !== only) continue;
    found.push(await verifyTree(store, tree, context, pace));
  }
  const all = auditing === null ? found : withSeals(found, await auditing.report(pace));
  if (only === undefined) return all;
  // Else whoever asks whether every entry is whole would hear that it is.
  if (!all.some(({ tree }) => tree === only)) throw absentTree(only);
  return all.filter(({ tree }) => tree === only || tree === null);
}

/** Tells of the faults of a report where they belong. */
function withSeals(found: readonly Checked[], { head, faults }: AuditReport): Checked[] {
  const rest = new Map(faults.filter(({ tree }) => tree !== null).map((one) => [one.tree, one]));
  const trees = found.map((one): Checked => {
    const fault = rest.get(one.tree);
    if (fault === undefined) return one;
    rest.delete(one.tree);
    return { ...one, broken: one.broken ?? faultText(fault) };
  });
  for (const fault of rest.values()) {
    trees.push({ tree: fault.tree, lines: 0, head: "", erased: 0, broken: faultText(fault) });
  }
  const own = faults.find(({ tree }) => tree === null);
  const missing = head === null ? "there is no signed head" : null;
  const broken = own === undefined ? missing : faultText(own);
  const seals = { tree: null, lines: head?.size ?? 0, head: head?.root ?? "", erased: 0, broken };
  return [...trees, seals];
}
