/**
 * The workshop: where a runtime checks and runs the tools that models write.
 * @module
 */

import type { Review, Sandbox, Tier, ToolCompiler, Workshop } from "../broker/sandbox.ts";
import { SysError } from "../kernel/errors.ts";
import { CAGE_LIMITS } from "../kernel/limits.ts";
import { type Duration, milliseconds } from "./rule.ts";

/** How generated tools are caged and reviewed. */
export interface JitOptions {
  /**
   * "process": a locked child process, inside the system's jail where there is one; the default.
   * "jail": the same, and refused where there is none. "worker": a Worker of this process, which a
   * tool can still bring down; see the threat model.
   */
  readonly isolation?: Tier;
  /** When a person looks at a tool before it is registered: "always" by default. */
  readonly review?: Review;
  /** Cages at the same time, 4 by default. */
  readonly pool?: number;
  /** Memory of a cage, in MiB. */
  readonly memoryMb?: number;
  /** How long a tool may hold the turn in one call. */
  readonly timeout?: Duration;
  /** A sandbox and a compiler of the embedder's own, in place of these. */
  readonly workshop?: { readonly sandbox: Sandbox; readonly compiler: ToolCompiler };
}

/** Opens a workshop; null for a runtime without generated tools. */
export function openWorkshop(options: {
  readonly jit?: false | JitOptions;
}): Promise<Workshop | null> {
  const { jit } = options;
  if (jit === undefined || jit === false) return Promise.resolve(null);
  const { review = "always", memoryMb, timeout } = jit;
  const limits = {
    ...CAGE_LIMITS,
    ...(memoryMb === undefined ? {} : { memoryBytes: memoryMb * 2 ** 20 }),
    ...(timeout === undefined ? {} : { wallMs: milliseconds(timeout) }),
  };
  if (jit.workshop === undefined) throw new SysError("ENOSYS", "Cannot open a workshop: none");
  return Promise.resolve({ ...jit.workshop, review, limits });
}
