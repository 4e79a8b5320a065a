/**
 * What is limited and used up: the types that budgets count in.
 * @module
 */

/** What a process may use up. Absent: no limit of its own. */
export interface BudgetLimits {
  /** Calls to models. */
  readonly modelCalls?: number | undefined;
  /** Tokens read and written by models. Counted afterwards, so the last call may exceed it. */
  readonly tokens?: number | undefined;
  /**
   * US dollars. Where the model's price is known, what a turn may cost is held before it is sent,
   * and what it did cost is booked after; else it is counted afterwards, where the model says it.
   */
  readonly usd?: number | undefined;
  /** Calls to tools. */
  readonly toolCalls?: number | undefined;
  /** Processes started, ended ones included. */
  readonly children?: number | undefined;
  /** Generations below it. */
  readonly depth?: number | undefined;
  /** Milliseconds since it was started, waiting included. */
  readonly wallMs?: number | undefined;
  /** Bytes written into Object Memory. */
  readonly bytes?: number | undefined;
}

/** What was used up. */
export type Spending = { readonly [K in SpentKind]?: number };
/** What can be used up by doing (depth and wall time are measured, not spent). */
export type SpentKind = "modelCalls" | "tokens" | "usd" | "toolCalls" | "children" | "bytes";
