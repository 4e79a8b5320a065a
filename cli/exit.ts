/**
 * How the command line ends: exit codes, and errors as sentences or as RFC 9457 objects.
 * @module
 */

import { type Errno, ERRORS, Panic, SysError } from "../kernel/errors.ts";
import { ServerRefusal } from "../server/client.ts";
import { oneLine, printable } from "../providers/printable.ts";

/** Every exit code. */
export const EXIT = {
  ok: 0,
  error: 1,
  usage: 2,
  absent: 3,
  denied: 4,
  waiting: 5,
  budget: 6,
  integrity: 7,
  timeout: 124,
  interrupted: 130,
} as const;

/** One of the exit codes. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const BY_CODE: { readonly [C in Errno]?: ExitCode } = {
  ENOENT: EXIT.absent,
  EPERM: EXIT.denied,
  EACCES: EXIT.denied,
  EEXPIRED: EXIT.denied,
  EBUDGET: EXIT.budget,
  EINTEGRITY: EXIT.integrity,
  ETIMEDOUT: EXIT.timeout,
  ECANCELED: EXIT.interrupted,
};

const STATUS: { readonly [code: number]: number } = {
  [EXIT.error]: 500,
  [EXIT.usage]: 400,
  [EXIT.absent]: 404,
  [EXIT.denied]: 403,
  [EXIT.waiting]: 202,
  [EXIT.budget]: 402,
  [EXIT.integrity]: 500,
  [EXIT.timeout]: 504,
  [EXIT.interrupted]: 499,
};

/** The exit code of a failure of the kernel. */
export function exitOf(code: Errno): ExitCode {
  return BY_CODE[code] ?? EXIT.error;
}

/** A command was called wrongly. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A failure with an exit code of its own, which is not one of the kernel's. */
export class ExitError extends Error {
  override readonly name = "ExitError";
  readonly exit: ExitCode;

  /** Ends the command with `exit` and says why. */
  constructor(exit: ExitCode, message: string) {
    super(message);
    this.exit = exit;
  }
}

/** A failure as RFC 9457 says it. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
}

/** The exit code of whatever was thrown, and what to tell of it. */
export function problemOf(thrown: unknown): { readonly exit: ExitCode; readonly problem: Problem } {
  if (thrown instanceof SysError) {
    const exit = exitOf(thrown.code);
    const status = exit === EXIT.error ? statusOf(thrown) : STATUS[exit]!;
    const title = ERRORS[thrown.code].means;
    return { exit, problem: problem(thrown.code, { title, status, detail: thrown.message }) };
  }
  if (thrown instanceof ServerRefusal) {
    const { code, status, message } = thrown;
    const exit = status === 401 || status === 403 ? EXIT.denied : EXIT.error;
    const title = "The server refused";
    return { exit, problem: problem(code, { title, status, detail: message }) };
  }
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  if (thrown instanceof UsageError) {
    const title = "The command was called wrongly";
    return { exit: EXIT.usage, problem: problem("usage", { title, status: 400, detail }) };
  }
  if (thrown instanceof ExitError) {
    const { exit } = thrown;
    const title = "The command ended early";
    return { exit, problem: problem("exit", { title, status: STATUS[exit] ?? 500, detail }) };
  }
  const title = thrown instanceof Panic ? "A bug in the kernel" : "The command failed";
  return { exit: EXIT.error, problem: problem("error", { title, status: 500, detail }) };
}

/** The sentence of a failure, for people. */
export function sentenceOf(problem: Problem): string {
  const lines = printable(problem.detail);
  return problem.code.startsWith("E")
    ? `error: ${lines} [${oneLine(problem.code)}]`
    : `error: ${lines}`;
}

function problem(code: string, rest: Omit<Problem, "type" | "code">): Problem {
  return { type: `urn:agent-libos:error:${code}`, ...rest, code };
}

function statusOf({ code, blame }: SysError): number {
  if (code === "ESTATE" || code === "ESTALE" || code === "EEXIST" || code === "EFENCED") return 409;
  return blame === "caller" ? 400 : 500;
}
