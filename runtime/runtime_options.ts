/**
 * What a runtime is made of, and what a process is started with.
 * @module
 */

import type { SysError } from "../kernel/errors.ts";
import type { Json } from "../kernel/json.ts";
import type { Mcp } from "../kernel/mcp.ts";
import type { Net } from "../kernel/net.ts";
import type { Prices } from "../kernel/price.ts";
import type { Simulator } from "../kernel/simulate.ts";
import type { Durability, Store } from "../kernel/store.ts";
import type { Answerer, Clock, Model, Person, Random } from "../kernel/world.ts";
import type { GateOptions } from "../kernel/gate_options.ts";
import type { LanguageModel } from "../providers/models/ai_sdk.ts";
import type { Quota } from "../providers/quota.ts";
import type { ShellOptions } from "../providers/shell.ts";
import type { Encryption } from "../providers/sqlite_vault.ts";
import type { AuditOptions } from "./auditing.ts";
import type { AgentImage, Budget } from "./image.ts";
import type { RetentionOptions } from "./redaction.ts";
import type { Rule } from "./rule.ts";
import type { Hook } from "./hooks.ts";
import type { TelemetryOptions } from "./telemetry.ts";
import type { JitOptions } from "./workshop.ts";

/** How to make a runtime. */
export interface RuntimeOptions {
  /** A path, ":memory:", "postgres://…", or a store. "./.libos/libos.db" by default. */
  readonly store?: string | Store;
  /**
   * A replica of the database that `store` is the address of: what servers and consoles only show
   * is read from it, where it has all that this runtime wrote or showed. `EINVAL` without a
   * database.
   */
  readonly readUrl?: string;
  /** For a path: "power" (synced; the default) or "process" (survives a kill, not a power cut). */
  readonly durability?: Durability;
  /** For a path: the key that the store is encrypted under. Without, it is plain. */
  readonly encryption?: Encryption;
  /** The folder that files are in; the current one by default. null: no files at all. */
  readonly workspace?: string | null;
  /**
   * More files of the machine that no agent and no program reaches, whatever it is granted. The
   * store with what stands beside it, its keys, the `policyFile` and the workspace's `.libos` are
   * always among them.
   */
  readonly reserved?: readonly string[];
  /** The net, as `openNet` makes it. No request leaves without it. */
  readonly net?: Net | null;
  /** Images whose processes this runtime can run, besides those that are spawned. */
  readonly images?: readonly AgentImage[];
  /** Rules over all trees made here: text or rules. */
  readonly policy?: string | readonly Rule[];
  /**
   * A file with rules, in place of `policy`: rules that answers of scope "policy" make for good are
   * added at its end.
   */
  readonly policyFile?: string;
  /** How many people have to agree to a destructive call; 1 by default. */
  readonly destructiveApprovers?: 1 | 2;
  /** After how many milliseconds a request that nobody answers is said to be so; 15 minutes. */
  readonly escalateMs?: number;
  /** "ask": a turn of a model that the budget does not bear asks for more; "fail" by default. */
  readonly onBudget?: "ask" | "fail";
  /** MCP servers, as `mountMcp` mounts them; closed with the runtime. None without it. */
  readonly mcp?: Mcp | null;
  /** Models besides those of images. */
  readonly models?: readonly (Model | LanguageModel)[];
  /**
   * Puts each model behind a gate, which waits its turn for it; `{}` heeds what its endpoint says.
   * Models that share an endpoint's rates go behind one by `gated`. None without it.
   */
  readonly gate?: GateOptions;
  /**
   * Prices of models that bring none, by `provider/model` or `provider/*`: what a turn may cost is
   * then held before it is sent, where there is a budget in money.
   */
  readonly prices?: Prices;
  /**
   * What all nodes over one database together may spend on models in a day or an hour, for all
   * trees or for those with some labels. Takes a database; `EINVAL` without.
   */
  readonly quotas?: readonly Quota[];
  /** World models that agents may ask what actions would do. */
  readonly simulators?: readonly Simulator[];
  /** Folders with Agent Skills, which agents may list and load. None without it. */
  readonly skills?: readonly string[];
  /**
   * Who answers requests: the queue (`runtime.approvals`), a terminal, or code, as a function or a
   * {@linkcode Person}. What code does not answer stays in the queue.
   */
  readonly approvals?: "queue" | "terminal" | "deny" | Person | Answerer;
  /** Steps that run at the same time; those that only wait at a gate are not counted. */
  readonly concurrency?: number;
  /** Time, for tests. */
  readonly clock?: Clock;
  /** Chance, for tests. */
  readonly random?: Random;
  /** false: nothing runs until `runUntilIdle` or `step`. */
  readonly autorun?: boolean;
  /** Who answers and orders here, as the log says it. */
  readonly operator?: string;
  /** Generated tools: how they are caged and reviewed. None run without it. */
  readonly jit?: false | JitOptions;
  /**
   * Programs of the machine: true, or more folders to find them in. None run without it. They see
   * what their process may, where the system has walls; where not, a person is asked.
   */
  readonly shell?: boolean | ShellOptions;
  /** true: processes may run Deno scripts of the workspace (`program.run`). Takes bubblewrap. */
  readonly programs?: boolean;
  /** Signs what the log says, so that changes show to strangers. Nothing is signed without it. */
  readonly audit?: AuditOptions;
  /** Who is told when somebody is needed: by requests, or by running commands. */
  readonly hooks?: readonly Hook[];
  /** Where it is kept what hooks were told, and who hears of what was given up. */
  readonly hookOptions?: {
    /** "⟨store⟩.hooks" by default; in memory for a store of your own. */
    readonly file?: string;
    /** Hears of each event that was given up. */
    readonly onFault?: (fault: SysError) => void;
  };
  /** Spans and measurements for OpenTelemetry; takes `OTEL_DENO=true`. None without it. */
  readonly telemetry?: TelemetryOptions;
  /** How long payloads are kept. For as long as the log without it. */
  readonly retention?: RetentionOptions;
  /** For a store that several nodes share: what this node is to the others. */
  readonly node?: NodeSpec;
}

/** A node among those that share a store. */
export interface NodeSpec {
  /** What people call it: letters, digits and `._/-`. By default its id, new at each start. */
  readonly name?: string;
  /** What trees may ask for by `nodeSelector`. `node`, its name, is always there. */
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * How many trees it works on at the same time, at most; 1,000 by default. 0: those that are
   * started or asked for here, and no others.
   */
  readonly capacity?: number;
  /** For how long its trees are its own after it was last heard of, in milliseconds; 30 s. */
  readonly leaseMs?: number;
  /** true: trees that are started here are to run on a node of this name; its folder is its own. */
  readonly ownWorkspace?: boolean;
}

/** How to start a process. */
export interface SpawnOptions {
  /** What it is to do. The model reads it as the first message of the conversation. */
  readonly goal: string;
  /** Data that goes with the goal; null when absent. A program finds it in `StepContext.input`. */
  readonly input?: Json;
  /** What it may do. `ask` and `deny` rules hold for all that it starts. */
  readonly grants?: readonly Rule[];
  /** What it and all it starts may use up, besides what its image says. */
  readonly budget?: Budget;
  /** Free words for people, shown by lists. They give no rights and are not value labels. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Relative to the workspace. */
  readonly cwd?: string;
  /** Turns it gets against others, 1 to 100; 10 by default. More is sooner. */
  readonly priority?: number;
  /** A second spawn with the same key returns the same live process. */
  readonly idempotencyKey?: string;
  /** What people may ever be asked for; the grants and the image's requests by default. */
  readonly ceiling?: readonly Rule[];
  /** Who starts it, as the log says; the runtime's operator by default. */
  readonly by?: string;
  /** Days that payloads of the tree are kept; null: for as long as the log. */
  readonly retainDays?: number | null;
  /**
   * Labels that the node which runs it has to have, beside those that its image asks for. Without
   * such a node it waits for one.
   */
  readonly nodeSelector?: Readonly<Record<string, string>>;
  /** Images that it may spawn, by name. */
  readonly images?: readonly AgentImage[];
}
