/**
 * Watchers: what stands beside a kernel and tells others what it does. None is loaded unless asked.
 * @module
 */

import type { Store } from "../kernel/store.ts";
import type { Model } from "../kernel/world.ts";
import { realClock } from "../providers/clock.ts";
import { realRandom } from "../providers/random.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import type { Auditing } from "./auditing.ts";
import type { Hooks } from "./hooks.ts";
import type { Node } from "./node.ts";
import type { NodeOptions } from "./node_options.ts";
import type { RuntimeOptions } from "./runtime_options.ts";
import type { Telemetry } from "./telemetry.ts";

/** The watchers of a runtime. */
export class Watchers {
  readonly telemetry: Telemetry | null;
  readonly hooks: Hooks | null;

  /** Those that were asked for. */
  constructor(telemetry: Telemetry | null = null, hooks: Hooks | null = null) {
    this.telemetry = telemetry;
    this.hooks = hooks;
  }

  /** What the node is made with for them. */
  get node(): Pick<NodeOptions, "around" | "composes"> {
    const { telemetry } = this;
    if (telemetry === null) return {};
    return {
      around: (tree, process, job) => telemetry.around(tree, process, job),
      composes: (call) => telemetry.composes(call),
    };
  }

  /** A model as they watch it. */
  timed(model: Model): Model {
    return this.telemetry?.timed(model) ?? model;
  }

  /** Hear of a node's lines from now on. */
  attach(node: Node, auditing: Auditing | null): void {
    this.telemetry?.attach(node, auditing);
    this.hooks?.attach(node);
  }

  /** Finds what nobody heard of, and starts to tell; no run may be under way yet. */
  async start({ options: { store, context } }: Node): Promise<void> {
    await this.hooks?.recover(store, context);
    this.hooks?.start();
  }

  /** Stop hearing, once the node has stopped. */
  async close(store: Store): Promise<void> {
    this.telemetry?.close();
    await this.hooks?.close(store);
  }
}

/** Opens those that were asked for. */
export async function openWatchers(options: RuntimeOptions, store: Store): Promise<Watchers> {
  return new Watchers(await openTelemetry(options), await openHooks(options, store));
}

async function openTelemetry({ telemetry }: RuntimeOptions): Promise<Telemetry | null> {
  if (telemetry === undefined) return null;
  const [{ Telemetry }, { openSignals }] = await Promise.all([
    import("./telemetry.ts"),
    import("../providers/telemetry.ts"),
  ]);
  return new Telemetry(await openSignals(), telemetry);
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
