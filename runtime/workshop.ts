/**
 * The workshop: where a runtime checks and runs the tools that models write.
 * @module
 */

import { PORT_CALLS, PORT_ENDS, PORT_POSITIONS } from "../broker/port_surface.ts";
import type { Review, Sandbox, Tier, ToolCompiler, Workshop } from "../broker/sandbox.ts";
import { SysError } from "../kernel/errors.ts";
import { CAGE_LIMITS, CAGE_LIMITS_MAX } from "../kernel/limits.ts";
import type { Clock, Random } from "../kernel/world.ts";
import { RealChildren } from "../providers/children.ts";
import { realClock } from "../providers/clock.ts";
import { realRandom } from "../providers/random.ts";
import { TypeScriptCompiler } from "../sandboxes/compiler/compiler.ts";
import { ProcessSandbox } from "../sandboxes/process_sandbox.ts";
import { WorkerSandbox } from "../sandboxes/worker_sandbox.ts";
import { type Duration, milliseconds } from "./rule.ts";

/** How generated tools are caged and reviewed. */
export interface JitOptions {
  /**
   * "process": a locked child process, inside the system's jail where there is one; the default.
   * "jail": the same, and refused where there is none. "worker": a Worker of this process, which a
   * tool can still bring down; it takes `--unstable-worker-options`, see the threat model.
   */
  readonly isolation?: Tier;
  /** When a person looks at a tool before it is registered: "always" by default. */
  readonly review?: Review;
  /** Memory of a cage, in MiB; 192 by default, 64 of which the runtime itself takes. */
  readonly memoryMb?: number;
  /** How long a tool may hold the turn in one call; "10s" by default. */
  readonly timeout?: Duration;
  /** Whether to start cages and the compiler before the first is needed. */
  readonly warm?: boolean;
  /**
   * A sandbox and a compiler of the embedder's own, in place of these.
   * @internal
   */
  readonly workshop?: { readonly sandbox: Sandbox; readonly compiler: ToolCompiler };
}

/** Opens a workshop; null for a runtime without generated tools. */
export async function openWorkshop(options: {
  readonly jit?: false | JitOptions;
  readonly clock?: Clock;
  readonly random?: Random;
}, started?: (ms: number) => void): Promise<Workshop | null> {
  const { jit, random = realRandom } = options;
  if (jit === undefined || jit === false) return null;
  const limits = limitsOf(jit);
  const { review = "always" } = jit;
  if (jit.workshop !== undefined) return { ...jit.workshop, review, limits };
  const children = new RealChildren();
  const refusal = children.refusal();
  if (refusal !== null) {
    throw new SysError("ENOSYS", `Cannot run generated tools: ${refusal}, expected the flag`);
  }
  // Deadlines of cages are real time, whatever clock the runtime lives on.
  const clock = realClock;
  const jail = await children.jail();
  const compiler = new TypeScriptCompiler({ children, clock, jail: jail.works });
  const sandbox = sandboxOf(jit, {
    children,
    jail,
    clock,
    random,
    ...(started === undefined ? {} : { started }),
  });
  if (jit.warm === true) await compiler.warm();
  return { sandbox, compiler, review, limits };
}

function sandboxOf(jit: JitOptions, parts: {
  readonly children: RealChildren;
  readonly jail: { readonly works: boolean; readonly why: string };
  readonly clock: Clock;
  readonly random: Random;
  readonly started?: (ms: number) => void;
}): Sandbox {
  const surface = { calls: PORT_CALLS, positions: PORT_POSITIONS, ends: PORT_ENDS };
  const { isolation = "process", warm = false } = jit;
  if (isolation === "worker") {
    return new WorkerSandbox({ ...parts, surface, warm, hasWorkerOptions: true });
  }
  const { jail } = parts;
  if (isolation === "jail" && !jail.works) {
    const instead = 'without it there is isolation "process"';
    throw new SysError("ENOSYS", `Cannot open a jail for tools: ${jail.why}; ${instead}`);
  }
  return new ProcessSandbox({ ...parts, surface, warm, jail: jail.works });
}

function limitsOf(jit: JitOptions): Workshop["limits"] {
  const { memoryMb, timeout } = jit;
  const limits = {
    ...CAGE_LIMITS,
    ...(memoryMb === undefined ? {} : { memoryBytes: memoryMb * 2 ** 20 }),
    ...(timeout === undefined ? {} : { wallMs: milliseconds(timeout) }),
  };
  const over = (["memoryBytes", "wallMs"] as const)
    .find((name) => !(limits[name] > 0 && limits[name] <= CAGE_LIMITS_MAX[name]));
  if (over === undefined) return limits;
  const expected = `expected 1 to ${CAGE_LIMITS_MAX[over]}`;
  throw new SysError("EINVAL", `Cannot run tools with ${over} ${limits[over]}: ${expected}`);
}
