/**
 * Failures: one closed set of codes, each with who is to blame and whether to try again.
 *
 * Listed in the order in which the door meets them. `EINDOUBT` (it may have happened) is never
 * folded into `EIO` (it did not). A `SysError` is thrown inside and made a value at the border; a
 * `Panic` is a broken invariant and is caught only by the tree's host, which stops that tree.
 * @module
 */

/** Who has to change something for the call to succeed. */
export type Blame = "caller" | "policy" | "world" | "kernel";

/**
 * Every code the system can answer with, in order of precedence at the door.
 *
 * @example
 * ```ts
 * import { ERRORS } from "@agent-libos/core";
 * console.assert(ERRORS.EAGAIN.retry && !ERRORS.EINDOUBT.retry);
 * ```
 */
export const ERRORS = {
  ENOSYS: { blame: "caller", retry: false, means: "No such syscall, tool or program" },
  EINVAL: { blame: "caller", retry: false, means: "The arguments are not what the call takes" },
  ELIMIT: { blame: "caller", retry: false, means: "A limit was reached; nothing was done" },
  EREPLAY: {
    blame: "caller",
    retry: false,
    means: "The code did something else than it did before",
  },
  EPERM: { blame: "policy", retry: false, means: "No held capability covers the call" },
  EACCES: { blame: "policy", retry: false, means: "A policy rule or a person refused the call" },
  EEXPIRED: { blame: "policy", retry: false, means: "Nobody answered in time, which means no" },
  EBUDGET: { blame: "policy", retry: false, means: "The budget is used up" },
  ENOENT: { blame: "caller", retry: false, means: "There is no such thing" },
  EEXIST: { blame: "caller", retry: false, means: "It exists already" },
  ESTATE: { blame: "caller", retry: false, means: "It is not in a state that allows this" },
  ESTALE: { blame: "caller", retry: true, means: "It changed since it was read" },
  EAGAIN: { blame: "kernel", retry: true, means: "A queue is full; nothing was done" },
  EFENCED: { blame: "kernel", retry: false, means: "Another kernel owns this tree or store now" },
  ECANCELED: { blame: "caller", retry: false, means: "The process was stopped; nothing was done" },
  ETIMEDOUT: { blame: "world", retry: true, means: "It took too long; nothing was done" },
  EIO: { blame: "world", retry: true, means: "The outside failed; nothing was done" },
  ENOSPC: { blame: "world", retry: true, means: "The disk is full; nothing was done" },
  EINDOUBT: { blame: "world", retry: false, means: "The outside failed; it may have been done" },
  EINTEGRITY: { blame: "world", retry: false, means: "Stored data is not what was written" },
} as const satisfies Record<string, { blame: Blame; retry: boolean; means: string }>;

/** One of the closed set of codes. */
export type Errno = keyof typeof ERRORS;

/** What a refused call carries besides its sentence: plain JSON, safe to show to the caller. */
export type ErrorDetail = { readonly [key: string]: unknown };

/**
 * An expected failure, with a code of the closed set and a sentence the model can act on.
 *
 * @example
 * ```ts
 * import { SysError } from "@agent-libos/core";
 * const error = new SysError("ENOENT", 'Cannot read file "./a": absent, expected a file');
 * console.assert(error.code === "ENOENT" && error.blame === "caller");
 * ```
 */
export class SysError extends Error {
  /** Always "SysError": tells it apart where `instanceof` does not reach, such as across a pipe. */
  override readonly name = "SysError";
  /** The code. */
  readonly code: Errno;
  /** Plain data for programs: what was needed, what would help. */
  readonly detail: ErrorDetail | undefined;

  /** Makes an error of `code`; `message` has the form "Cannot ⟨verb⟩ ⟨thing⟩: ⟨state⟩". */
  constructor(code: Errno, message: string, detail?: ErrorDetail) {
    super(bounded(message));
    this.code = code;
    this.detail = detail;
  }

  /** Who has to change something. */
  get blame(): Blame {
    return ERRORS[this.code].blame;
  }

  /** Whether the same call may succeed later, unchanged. */
  get retry(): boolean {
    return ERRORS[this.code].retry;
  }
}

const MESSAGE_CHARS_MAX = 8_192;

/** A sentence that the log can hold, whoever wrote it. */
function bounded(message: string): string {
  return message.slice(0, MESSAGE_CHARS_MAX).toWellFormed();
}

/** A broken invariant: a bug in the kernel. Nothing but the tree's host catches it. */
export class Panic extends Error {
  override readonly name = "Panic";
}

/** What crosses a border: a value or a failure. */
export type Outcome =
  | { readonly ok: true; readonly value: unknown }
  | {
    readonly ok: false;
    readonly code: Errno;
    readonly message: string;
    readonly detail?: ErrorDetail | undefined;
  };

/** Panics unless `claim` holds; `broken` says what its failure would mean. */
export function assert(claim: boolean, broken: string): asserts claim {
  if (!claim) throw new Panic(broken);
}

/** Turns whatever was thrown into an outcome; a `Panic` goes on. */
export function toOutcome(thrown: unknown): Outcome & { ok: false } {
  if (thrown instanceof Panic) throw thrown;
  if (thrown instanceof SysError) {
    return {
      ok: false,
      code: thrown.code,
      message: thrown.message,
      ...(thrown.detail === undefined ? {} : { detail: thrown.detail }),
    };
  }
  const message = spoken(thrown);
  return { ok: false, code: "EIO", message: bounded(`Cannot finish the call: ${message}`) };
}

/** What a thrown thing says of itself, if it can say anything. */
export function spoken(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return "something that cannot be shown was thrown";
  }
}

/** The reverse of {@linkcode toOutcome}, for callers that want an exception. */
export function toError(outcome: Outcome & { ok: false }): SysError {
  return new SysError(outcome.code, outcome.message, outcome.detail);
}
