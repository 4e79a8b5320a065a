/**
 * Programs of the machine: one program, its arguments as they are, and no shell.
 *
 * Where the system has walls, a program sees what its process may see at any time without being
 * asked, and no more. Where it has none, whatever could do harm is put before a person.
 * @module
 */

import { z } from "zod";
import { SysError } from "../../kernel/errors.ts";
import { joinLabels } from "../../kernel/label.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { resolvePath } from "../../kernel/path.ts";
import { labelFor } from "../../kernel/policy.ts";
import { describeReach, isSeen, labelOfAll, type Reach, reachOf } from "../../kernel/reach.ts";
import {
  checkOwnNames,
  type FoundProgram,
  programResource,
  type Shell,
  type ShellEnd,
  weigh,
} from "../../kernel/shell.ts";
import { pathShape } from "../shapes.ts";
import { type CallContext, type NeedContext, syscall } from "../syscall.ts";
import { ownedHere } from "./file.ts";

const text = z.string().max(LIMITS.shellArgumentBytesMax)
  .refine((value) => value.isWellFormed() && !value.includes("\0"), "expected no NUL in it");

const args = z.strictObject({
  program: z.string().min(1).max(LIMITS.pathBytesMax)
    .describe('A name ("git"), or a path in the workspace ("./run.sh")'),
  args: z.array(text).max(LIMITS.shellArgumentsMax).default([])
    .describe("Each as the program gets it; nothing in them is expanded"),
  cwd: pathShape.optional().describe("The working directory; the own one by default"),
  stdin: z.string().max(LIMITS.shellStdinBytesMax).default("").describe("What it reads"),
  env: z.record(z.string().max(256), text).default({})
    .describe("Names beside PATH, HOME and LANG").refine(
      (env) => Object.keys(env).length <= LIMITS.shellNamesMax,
      `expected at most ${LIMITS.shellNamesMax} names`,
    ),
  timeMs: z.number().int().min(1).max(LIMITS.shellMsMax).default(LIMITS.shellMsDefault)
    .describe("It is ended after so long"),
});
type Args = z.output<typeof args>;

/** The provider of programs, or `ENOSYS` when this runtime has none. */
function shellOf(at: Pick<NeedContext, "world">): Shell {
  if (at.world.shell !== null) return at.world.shell;
  const expected = "expected createRuntime({ shell: true })";
  throw new SysError("ENOSYS", `Cannot run programs: this runtime runs none, ${expected}`);
}

/** What the program will see; null: nothing confines it here. */
function reachFor(at: CallContext, { timeMs }: Args): Reach | null {
  if (!shellOf(at).confinement().works) return null;
  const { nowMs } = at;
  return reachOf(at.tree, {
    ...{ pid: at.pid, nowMs, untilMs: nowMs + timeMs, owned: ownedHere(at) },
    judgesNoConnection: true,
  });
}

interface Prepared {
  readonly program: string;
  readonly found: FoundProgram;
  readonly cwd: string;
  readonly reach: Reach | null;
}

function prepare(at: CallContext, given: Args): Prepared {
  const reach = reachFor(at, given);
  const program = programResource(at.cwd, given.program);
  const cwd = given.cwd === undefined ? at.cwd : resolvePath(at.cwd, given.cwd);
  const outside = (what: string) =>
    `${what} is outside what it sees (${describeReach(reach!)}), expected a right on it`;
  if (reach !== null && given.cwd !== undefined && !isSeen(reach, cwd)) {
    throw new SysError("EACCES", `Cannot run "${given.program}": ${outside(`"${cwd}"`)}`);
  }
  if (reach !== null && program.startsWith("./") && !isSeen(reach, program)) {
    throw new SysError("EACCES", `Cannot run "${given.program}": ${outside("it")}`);
  }
  const found = shellOf(at).find(program);
  if (found === null) {
    const where = program.includes("/") ? "a program there" : "a program of the safe path";
    throw new SysError("ENOENT", `Cannot run "${given.program}": absent, expected ${where}`);
  }
  return { program, found, cwd, reach };
}

/** What a person is told who is asked. */
function shown(at: CallContext, given: Args): string {
  const { found, cwd, reach } = prepare(at, given);
  const { class: kind, why } = weigh(given);
  const walls = reach === null
    ? `unconfined: ${shellOf(at).confinement().why}; it may do whatever this kernel's user may`
    : `confined: ${describeReach(reach)}`;
  return [
    `program ${found.path}`,
    `sha256  ${found.sha256}`,
    `in      ${cwd}`,
    `class   ${kind}, because ${why}`,
    walls,
  ].join("\n");
}

function replied(prepared: Prepared, end: ShellEnd) {
  const { found, reach } = prepared;
  return { ...end, program: found, confined: reach !== null };
}

/** Calls on programs of the machine. */
export const shellCalls = {
  "shell.run": syscall({
    about: "Run a program with arguments, without a shell, and wait for its end",
    effect: "emit",
    // What a cage keeps in is not let out to programs beside it.
    port: "closed",
    risk: "high",
    weigh: (given) => weigh(given).risk,
    args,
    reply: z.strictObject({
      code: z.number(),
      signal: z.string().nullable(),
      stdout: z.string(),
      stderr: z.string(),
      cut: z.strictObject({ stdout: z.number(), stderr: z.number() })
        .describe("Bytes of each that were left out in its middle"),
      exceeded: z.string().nullable().describe("The limit for which it was ended"),
      program: z.strictObject({ path: z.string(), sha256: z.string() }),
      confined: z.boolean().describe("Whether it saw no more than the caller may"),
    }),
    needs: (given, at) => {
      const resource = programResource(at.cwd, given.program);
      checkOwnNames(given.env);
      const { shell } = at.world;
      const right = { right: "shell.run", resource };
      if (shell === null) return [right];
      const found = shell.find(resource);
      // Who answers saw this very program: another one under its name is asked about anew.
      const binds = found === null ? null : { path: found.path, sha256: found.sha256 };
      const { class: kind, why } = weigh(given);
      if (kind === "harmless" || shell.confinement().works) return [{ ...right, binds }];
      const ask = `nothing confines programs here, and ${why}`;
      return [{ ...right, binds, ask, kind: "permission" }];
    },
    preview: (at, given) => Promise.resolve(shown(at, given)),
    prepare: (at, given) => Promise.resolve(prepare(at, given)),
    async run(at, given, prepared) {
      const { program } = prepared;
      const said = labelFor(at.tree.policy, "shell.run", program);
      const seen = prepared.reach?.label ?? labelOfAll(at.tree);
      at.taint(said === null ? seen : joinLabels(said, seen));
      const { args, env, stdin, timeMs } = given;
      const end = await shellOf(at).run({ ...prepared, args, env, stdin, timeMs }, {
        signal: at.signal,
        onOutput: (chunk) => at.stream(chunk),
      });
      return replied(prepared, end);
    },
    // Nobody can tell how far a program came; what touches nothing may simply be run again.
    lost: (_at, given) =>
      Promise.resolve({ state: weigh(given).class === "harmless" ? "not-done" : "unknown" }),
  }),
};
