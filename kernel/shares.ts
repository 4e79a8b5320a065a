/**
 * Shares: limits that all nodes over one store keep together. What a node keeps by itself is in its
 * gates, budgets and server; here is what they ask before they go on.
 *
 * Invariants every kind of shares keeps:
 *   L1. Of a rate, all nodes together are let through no more than the limit in any window.
 *   L2. What is spent of a quota in a period is never more than its limit, but for what a call took
 *       beyond what was held for it.
 *   L3. A request under one key of one book is begun once; whoever comes later hears the answer, or
 *       that it is under way, or that nobody knows what became of it.
 *   L4. Where the store does not answer, nothing is let through.
 * @module
 */

/** A call that wants through a gate of several nodes. */
export interface SharedEntering {
  /** The gate: the same word on all nodes. */
  readonly gate: string;
  /** Names this attempt. */
  readonly permit: string;
  /** About how many tokens it takes. */
  readonly tokens: number;
  /** Most requests in a window; null for no limit. */
  readonly requestsMax: number | null;
  /** Most tokens in a window; null for no limit. */
  readonly tokensMax: number | null;
  /** Most that are out together; null for no limit. */
  readonly outMax: number | null;
  /** How long a window is. */
  readonly windowMs: number;
  /** After so long a permit that nobody renews counts no longer among those that are out. */
  readonly leaseMs: number;
}

/** What is to be spent of a quota. */
export interface SharedSpend {
  /** The quota: the same word on all nodes. */
  readonly quota: string;
  /** What is counted: "tokens" or "usd". */
  readonly kind: string;
  /** Periods are so long, and begin with 1970 in UTC. */
  readonly periodMs: number;
  /** Most in a period. */
  readonly max: number;
  /** How much. */
  readonly amount: number;
}

/** A request that is to be answered once. */
export interface OnceAsking {
  /** Whose keys they are. */
  readonly book: string;
  /** The key. */
  readonly key: string;
  /** The hash of what is asked. */
  readonly of: string;
  /** Names this attempt. */
  readonly attempt: string;
  /** For how long an answer is kept. */
  readonly keepMs: number;
  /** After so long without renewal, whoever began it is held to be gone. */
  readonly leaseMs: number;
  /** How many keys of a book are kept. */
  readonly keysMax: number;
}

/** How a request stands. */
export type OnceState =
  /** It is this attempt's to make. */
  | { readonly is: "first" }
  /** It was answered. */
  | { readonly is: "answered"; readonly answer: string }
  /** Another attempt makes it. */
  | { readonly is: "begun" }
  /** Whoever made it is gone. */
  | { readonly is: "lost" }
  /** The key was another request's. */
  | { readonly is: "other" };

/** Limits of all nodes over a store. */
export interface Shares {
  /** Lets a call through: 0, or after how many milliseconds to ask again. */
  enter(call: SharedEntering): Promise<number>;
  /** Renews a permit. */
  renew(gate: string, permit: string, more: {
    readonly leaseMs: number;
    readonly windowMs: number;
  }): Promise<void>;
  /** Ends a permit; `tokens` are what it took beyond, and nobody is let through for `heldMs`. */
  leave(gate: string, permit: string, end: {
    readonly tokens: number;
    readonly heldMs: number;
    readonly windowMs: number;
  }): Promise<void>;
  /** Spends all of these or nothing: `EBUDGET`. Resolves to what takes it back, or adds to it. */
  spend(spends: readonly SharedSpend[]): Promise<(more: readonly number[]) => Promise<void>>;
  /** Begins a request, or says how it stands. */
  begin(asking: OnceAsking): Promise<OnceState>;
  /** Renews what an attempt began. */
  keep(asking: OnceAsking): Promise<void>;
  /** Keeps the answer; null: there is none, and whoever comes may begin anew. */
  finish(asking: OnceAsking, answer: string | null): Promise<void>;
}
