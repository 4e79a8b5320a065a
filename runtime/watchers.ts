/**
 * Watchers: what stands beside a kernel and tells others what it does. None counts unless asked.
 * @module
 */

import type { Store } from "../kernel/store.ts";
import type { Model } from "../kernel/world.ts";
import { MetricBook } from "../providers/metric_book.ts";
import { realClock } from "../providers/clock.ts";
import { realRandom } from "../providers/random.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import type { Auditing } from "./auditing.ts";
import type { Hooks } from "./hooks.ts";
import { Measured } from "./measured.ts";
import type { Node } from "./node.ts";
import type { NodeOptions } from "./node_options.ts";
import type { RuntimeOptions } from "./runtime_options.ts";
import type { Telemetry } from "./telemetry.ts";
import { timed } from "./telemetry_models.ts";

/** The watchers of a runtime. */
export class Watchers {
  readonly telemetry: Telemetry | null;
  readonly hooks: Hooks | null;
  #measured: Measured | null;
  #book: MetricBook | null;
  #auditing: Auditing | null = null;

  /** Those that were asked for. */
  constructor({ telemetry = null, measured = null, book = null, hooks = null }: {
    readonly telemetry?: Telemetry | null;
    readonly measured?: Measured | null;
    readonly book?: MetricBook | null;
    readonly hooks?: Hooks | null;
  } = {}) {
    this.telemetry = telemetry;
    this.hooks = hooks;
    this.#measured = measured;
    this.#book = book;
  }

  /** What the node is made with for them. */
  get node(): Pick<NodeOptions, "around" | "composes"> {
    const { telemetry } = this;
    return {
      composes: (call) => this.#measured?.composes(call),
      ...(telemetry === null ? {} : {
        around: (tree, process, job) => telemetry.around(tree, process, job),
      }),
    };
  }

  /** A model as they watch it. */
  timed(model: Model): Model {
    const { telemetry } = this;
    return telemetry === null ? model : timed(model, {
      now: () => telemetry.now(),
      first: (id, ms) => this.#measured?.piece(id, true, ms),
      next: (id, ms) => this.#measured?.piece(id, false, ms),
    });
  }

  /** A cage has started. */
  readonly cageStarted = (ms: number): void => this.#measured?.cageStarted(ms);

  /** Hear of a node's lines from now on. */
  attach(node: Node, auditing: Auditing | null): void {
    this.#auditing = auditing;
    this.telemetry?.attach(node);
    this.#measured?.attach(node, auditing);
    this.hooks?.attach(node);
  }

  /** Keeps what is measured where it can be asked for, from now on. */
  measure(node: Node): MetricBook {
    if (this.#book !== null) return this.#book;
    this.#book = new MetricBook();
    this.#measured = new Measured(this.#book, false);
    this.#measured.attach(node, this.#auditing);
    return this.#book;
  }

  /** Counts what is only known by looking. */
  async look(): Promise<void> {
    await this.#measured?.look();
  }

  /** Finds what nobody heard of, and starts to tell; no run may be under way yet. */
  async start({ options: { store, context } }: Node): Promise<void> {
    await this.hooks?.recover(store, context);
    this.hooks?.start();
  }

  /** Stop hearing, once the node has stopped. */
  async close(store: Store): Promise<void> {
    this.telemetry?.close();
    this.#measured?.close();
    await this.hooks?.close(store);
  }
}

/** Opens those that were asked for. */
export async function openWatchers(options: RuntimeOptions, store: Store): Promise<Watchers> {
  return new Watchers({
    ...await openTelemetry(options),
    hooks: await openHooks(options, store),
  });
}

async function openTelemetry({ telemetry }: RuntimeOptions) {
  if (telemetry === undefined) return {};
  const [{ Telemetry }, { both, openSignals }] = await Promise.all([
    import("./telemetry.ts"),
    import("../providers/telemetry.ts"),
  ]);
  const [signals, book] = [await openSignals(), new MetricBook()];
  const measured = new Measured(both(signals, book), true);
  return { telemetry: new Telemetry(signals, telemetry), measured, book };
}

async function openHooks(options: RuntimeOptions, store: Store): Promise<Hooks | null> {
  const { hooks = [], hookOptions = {}, clock = realClock, random = realRandom } = options;
  if (hooks.length === 0) return null;
  const [{ hookBookPath, Hooks }, { HookBook }] = await Promise.all([
    import("./hooks.ts"),
    import("../providers/hook_book.ts"),
  ]);
  const path = store instanceof SqliteStore ? store.path ?? ":memory:" : ":memory:";
  const book = new HookBook(hookOptions.file ?? hookBookPath(path));
  try {
    return new Hooks({ hooks, book, clock, random, onFault: hookOptions.onFault });
  } catch (error) {
    book.close();
    throw error;
  }
}
