/**
 * The world as the kernel sees it: interfaces for everything that is outside (G8).
 *
 * Providers implement these; boot code hands them in. Nothing else reaches a clock, chance, a file,
 * a model or a person.
 * @module
 */

import type { Json, JsonObject } from "./json.ts";
import type { RequestKind } from "./human_event.ts";
import type { RequestId } from "./ids.ts";
import type { Media } from "./media.ts";
import type { Owned } from "./owned.ts";
import type { Pricing } from "./price.ts";

/** Time. */
export interface Clock {
  /** Milliseconds since 1970. May go backwards; the kernel never lets a log's time do so. */
  now(): number;
  /**
   * Milliseconds that pass evenly, whoever sets the clock; from any beginning. Nodes that share a
   * database go by its time with this; a clock without it is taken at its word.
   */
  steady?(): number;
  /** Resolves `ms` from now, or rejects with the signal's reason when it is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Runs `job` soon, after everything which is ready now. */
  soon(job: () => void): void;
}

/** Chance. */
export interface Random {
  /** `length` random bytes. */
  bytes(length: number): Uint8Array;
}

/** What a file or folder is. */
export interface FileStat {
  /** "other" is what no call opens: links, pipes, devices, sockets. */
  readonly kind: "file" | "directory" | "other";
  /** Size in bytes; 0 for a directory. */
  readonly bytes: number;
  /** When its content last changed, in milliseconds since 1970. */
  readonly modifiedMs: number;
}

/** One entry of a folder. */
export interface FileEntry {
  /** Its name in the folder, without a path. */
  readonly name: string;
  /** "other" is what no call opens. */
  readonly kind: "file" | "directory" | "other";
}

/**
 * Files under one root. Every `path` is already resolved and normalized: relative to the root, "/"
 * between segments, "" for the root itself. The provider acts on exactly this path, follows no link
 * out of the root, and verifies what it opened rather than what was named.
 * Errors: `ENOENT EEXIST EINVAL EACCES ELIMIT ENOSPC EIO EINDOUBT`.
 */
export interface Files {
  /** The whole of a file; `ELIMIT` when it has more than `bytesMax` bytes. */
  read(path: string, options: { readonly bytesMax: number }): Promise<Uint8Array>;
  /** Replaces or makes a file in one step: afterwards it has all of `bytes` or is as before. */
  write(
    path: string,
    bytes: Uint8Array,
    options: { readonly create: boolean; readonly replace: boolean },
  ): Promise<void>;
  /** The entries of a folder in a fixed order; `ELIMIT` beyond `entriesMax`. */
  list(path: string, options: { readonly entriesMax: number }): Promise<readonly FileEntry[]>;
  /** What is there; undefined when nothing is. */
  stat(path: string): Promise<FileStat | undefined>;
  /** Makes one folder. `EEXIST` when the name is taken, `ENOENT` when its parent is absent. */
  mkdir(path: string): Promise<void>;
  /** Refuses with `EEXIST` when `to` is there. */
  move(from: string, to: string): Promise<void>;
  /** Removes a file or an empty folder. */
  remove(path: string): Promise<void>;
  /** SHA-256 of a file's content; null when there is no file. For reconciling after a crash. */
  digest(path: string): Promise<string | null>;
  /** What in it is the runtime's own, which no call reaches; nothing when absent. */
  owned?(): readonly Owned[];
}

/** An object that a message brings with it, by name: a conversation holds no content of media. */
export interface ModelPart {
  /** Its name, as the process writes it. */
  readonly object: string;
  /** Which version of it; the newest when absent. */
  readonly version?: number;
  /** What it holds; there only in what is sent to a model. */
  readonly media?: Media;
}

/** One turn of a conversation with a model. */
export type ModelMessage =
  | {
    readonly role: "system" | "user";
    readonly text: string;
    /** Of a user's message: what comes with it. */
    readonly parts?: readonly ModelPart[];
  }
  | {
    readonly role: "assistant";
    readonly text: string;
    readonly calls: readonly ModelCall[];
  }
  | {
    readonly role: "tool";
    readonly id: string;
    readonly name: string;
    readonly output: Json;
    readonly isError: boolean;
  };

/** A tool call that a model asked for. `input` is undefined when the model wrote no valid JSON. */
export interface ModelCall {
  /** Unique in its conversation; the tool's message answers to it. */
  readonly id: string;
  /** Name of the tool. */
  readonly name: string;
  /** The arguments. */
  readonly input?: Json;
  /** The text as the model wrote it, when it could not be read. */
  readonly raw?: string;
}

/** A tool as a model sees it. */
export interface ModelTool {
  /** What the model calls it. */
  readonly name: string;
  /** What it does. */
  readonly description: string;
  /** JSON Schema of its arguments. */
  readonly inputSchema: JsonObject;
}

/** What is asked of a model. */
export interface ModelRequest {
  /** `provider/model`. */
  readonly model: string;
  /** The conversation, oldest first. */
  readonly messages: readonly ModelMessage[];
  /** The tools it may call; empty for none. */
  readonly tools: readonly ModelTool[];
  /** Most tokens it may write; what the model does by default when absent. */
  readonly maxOutputTokens?: number;
  /** 0 to 2; what the model does by default when absent. */
  readonly temperature?: number;
  /** The same for every attempt at the same call. */
  readonly idempotencyKey: string;
}

/** What a model answered. */
export interface ModelReply {
  /** What it wrote; empty when it only calls tools. */
  readonly text: string;
  /** The tools it wants called, in order. */
  readonly calls: readonly ModelCall[];
  /** Why it stopped writing. */
  readonly finish: "stop" | "length" | "tool-calls" | "content-filter" | "error" | "other";
  /** Tokens it read. */
  readonly inputTokens: number;
  /** Tokens it wrote. */
  readonly outputTokens: number;
  /** How many of the tokens that it read the provider had in its cache; none when absent. */
  readonly cachedTokens?: number;
  /** How many of them the provider put into its cache; none when absent. */
  readonly cacheWriteTokens?: number;
  /** Cost in US dollars, where the provider says. */
  readonly usd?: number;
  /** The model that answered, where it stands in for the one that was asked. */
  readonly answeredBy?: string;
}

/** For whom a model is asked: what stands in line before it is fair between trees. */
export interface ModelAsker {
  /** The tree. */
  readonly tree: string;
  /** The process. */
  readonly pid: string;
  /** Turns it gets against others, 1 to 100. */
  readonly priority: number;
  /** Since when, also from before a restart. */
  readonly sinceMs?: number;
  /** What people called the root of the tree by. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** How a model is asked. */
export interface ModelAsking {
  /** Ends the attempt. */
  readonly signal: AbortSignal;
  /** Hears chunks as they come; together they are the reply's text. */
  readonly onText?: (chunk: string) => void;
  /** Hears each piece of a streamed reply, of whatever kind: of text, of reasoning, of a call. */
  readonly onChunk?: () => void;
  /** Hears the headers of an endpoint's answer, a refusal's too; their names in lower case. */
  readonly onHead?: (head: Readonly<Record<string, string>>) => void;
  /** Hears when the call begins to wait for its turn, and when it is sent: no time runs between. */
  readonly onWait?: (waits: boolean) => void;
  /** For whom. */
  readonly asker?: ModelAsker;
}

/**
 * A model. Errors: `EAGAIN` with `detail.retryAfterMs` (rate limit), `ETIMEDOUT`, `EIO` (5xx, cut
 * stream), `EACCES` (401/403), `EINVAL` (4xx), `ECANCELED` (the signal).
 */
export interface Model {
  /** `provider/model`, the resource of `model.generate`. */
  readonly id: string;
  /** What its tokens cost, where that is known. */
  readonly pricing?: Pricing;
  /** Media types it takes, such as `image/*` and `application/pdf`; none when absent. */
  readonly takes?: readonly string[];
  /**
   * Makes one attempt at the next turn. A failure whose detail says `attempts` was tried again
   * already, and is not to be.
   */
  generate(request: ModelRequest, asking: ModelAsking): Promise<ModelReply>;
}

/** A request as a person sees it. */
export interface PersonRequest {
  /** Names the request when it is answered. */
  readonly id: RequestId;
  /**
   * A permission is approved, edited or denied; a question is answered; a notice is only read. A
   * review is a permission for a generated tool, whose text is the preview. A budget is approved or
   * denied, and less of it given by an edit. A doubt is a question about an effect of which nobody
   * knows whether it happened.
   */
  readonly kind: RequestKind;
  /** Who asks. */
  readonly pid: string;
  /** The asking process and its ancestors, the root first. */
  readonly lineage: readonly string[];
  /** All processes that ask the same, and would each be granted it. */
  readonly askers?: readonly string[];
  /**
   * Whom the asker wants to hear from, in its own words; absent where the kernel asks. It binds
   * nobody: who answered is in the log.
   */
  readonly who?: string;
  /** The generated tool in which it is asked, and its version; absent for other code. */
  readonly tool?: { readonly name: string; readonly hash: string };
  /** What is asked. Agents may have written it: show it as text, never as markup. */
  readonly prompt: string;
  /** What is to be permitted, with its exact arguments; absent when no call is asked about. */
  readonly call?: {
    readonly name: string;
    readonly right: string;
    readonly resource: string;
    readonly args: Json;
    readonly argsHash: string;
  };
  /** JSON Schema of the answer, for a question that has one. */
  readonly schema?: JsonObject;
  /** The answers to choose from; empty when any will do. */
  readonly choices?: readonly string[];
  /** How much harm a wrong yes could do. */
  readonly risk: "low" | "medium" | "high" | "destructive";
  /** More for the person to see: the deciding rule, or what was under way. */
  readonly preview?: string;
  /** When it was asked, in milliseconds since 1970. */
  readonly createdMs: number;
  /** When it counts as refused, in milliseconds since 1970; null: never. */
  readonly expiresMs: number | null;
  /** When it was said that nobody answers, in milliseconds since 1970; null: not yet. */
  readonly escalatedMs: number | null;
  /** The rule that says ask, as `ask file.write(./out/**) of the policy`; absent for none. */
  readonly because?: string;
  /** How many people have to agree, and who has. */
  readonly people: { readonly needed: number; readonly agreed: readonly string[] };
  /** How far an approval may reach; empty where nothing is approved for more than itself. */
  readonly scopes: readonly Scope[];
  /** Rules that would answer it, the narrowest first; none opens more than its asker may do. */
  readonly suggestions: readonly Suggestion[];
}

/** A rule that would answer a request, and others like it. */
export interface Suggestion {
  /** The right that was asked for. */
  readonly right: string;
  /** A pattern that the call's resource matches. */
  readonly resource: string;
  /** How far it reaches. */
  readonly scope: Scope;
  /** How many of the latest calls of the tree it would have covered. */
  readonly matched: number;
}

/** How far an approval reaches, the nearest first. */
export const SCOPES = ["once", "process", "subtree", "tree", "image", "policy"] as const;
/** How far an approval reaches. */
export type Scope = "once" | "process" | "subtree" | "tree" | "image" | "policy";

/** What a person says to a request. */
export type PersonAnswer =
  | {
    readonly outcome: "approve";
    readonly scope?: Scope;
    /** How long it holds; a rule of the policy holds for good where nothing is said. */
    readonly forMs?: number;
    readonly uses?: number;
    /** Wider than once: a pattern which the call's resource matches. */
    readonly resource?: string;
    readonly note?: string;
  }
  | {
    /** Approves the call once, with these arguments in place of those that were asked about. */
    readonly outcome: "edit";
    readonly args: Json;
    readonly note?: string;
  }
  | {
    readonly outcome: "deny";
    readonly reason?: string;
    /** Cancels who asked, too. */
    readonly stop?: boolean;
  }
  | { readonly outcome: "answer"; readonly value: Json };

/** Code that answers requests. Undefined means: not now; the request stays in the queue. */
export type Answerer = (
  request: PersonRequest,
  signal: AbortSignal,
) => PersonAnswer | undefined | Promise<PersonAnswer | undefined>;

/** Someone who answers requests: a terminal, a script, a queue. */
export interface Person {
  /** Undefined means: not now; the request stays in the queue. */
  ask(request: PersonRequest, signal: AbortSignal): Promise<PersonAnswer | undefined>;
}
