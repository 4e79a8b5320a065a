/**
 * `libos`: the command line.
 * @module
 */

import { suggest } from "../kernel/policy.ts";
import { audit, verify } from "./audit.ts";
import { can, caps } from "./authority.ts";
import { fork } from "./branch.ts";
import { budget } from "./budget.ts";
import { checkpoint } from "./checkpoint.ts";
import { type Command, contextOf, GLOBAL_OPTIONS } from "./command.ts";
import { doctor } from "./doctor.ts";
import { effects } from "./effects.ts";
import { answer, approve, deny, edit } from "./decide.ts";
import { EXIT, problemOf, sentenceOf, UsageError } from "./exit.ts";
import { attach } from "./attach.ts";
import { completionOf } from "./completion.ts";
import { console } from "./console.ts";
import { context } from "./context.ts";
import { cost } from "./cost.ts";
import { credential } from "./credential.ts";
import { overview as overviewOf } from "./evidence_there.ts";
import { explain } from "./explain.ts";
import { hooks } from "./hook_again.ts";
import { gate } from "./gate.ts";
import { helpOf, overview } from "./help.ts";
import { images } from "./images.ts";
import { type Io, realIo } from "./io.ts";
import { refuseLater } from "./later.ts";
import { events, logs } from "./logs.ts";
import { models } from "./models.ts";
import { mcp } from "./mcp.ts";
import { make } from "./new.ts";
import { nodes } from "./nodes.ts";
import { objects } from "./objects.ts";
import { safeJson } from "./output.ts";
import { approvals } from "./people.ts";
import { policy } from "./policy.ts";
import { describe, ps } from "./processes.ts";
import { replay } from "./replay.ts";
import { run } from "./run.ts";
import { cancel, kill, pause, resume, send } from "./signals.ts";
import { serve } from "./serve.ts";
import { skills } from "./skills.ts";
import { spawn, wait } from "./spawn.ts";
import { demo, init } from "./start.ts";
import { store } from "./encryption.ts";
import { suggest as suggestGrants } from "./suggest.ts";
import { runWhere } from "./reach.ts";
import { rollback } from "./time.ts";
import { token } from "./token.ts";
import { tools } from "./tools.ts";
import { topOf } from "./top.ts";
import { erase, gc, tree } from "./tree.ts";

export type { Command, Context, Flags, Format, FORMATS, Options } from "./command.ts";
export type { Io } from "./io.ts";

/** Every command, in the order of the overview. */
const ALL: readonly Command[] = [
  ...[
    init,
    make,
    demo,
    run,
    spawn,
    serve,
    gate,
    console,
    images,
    models,
    doctor,
    context,
    completionOf(() => ALL),
  ],
  ...[
    ps,
    topOf((argv, io) => main(argv, io)),
    describe,
    logs,
    attach,
    wait,
    send,
    pause,
    resume,
    cancel,
    kill,
  ],
  ...[approvals, approve, edit, deny, answer, hooks, token],
  ...[caps, can, explain, policy, credential, suggestGrants],
  ...[tools, skills, mcp],
  ...[objects, tree, nodes, gc, erase, store, budget, cost],
  ...[checkpoint, rollback, fork],
  ...[overviewOf, events, effects, replay, audit, verify],
];

/** Every command by name. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map(ALL.map((one) => [one.name, one]));

/** Runs a command line and returns its exit code; prints whatever fails. */
export async function main(args: readonly string[], io: Io = realIo()): Promise<number> {
  // "deno task libos -- …" hands the dashes on.
  const argv = args[0] === "--" ? args.slice(1) : args;
  let command: Command | undefined;
  try {
    const { name, rest } = splitName(argv);
    if (name === undefined || name === "help") {
      io.out(name === "help" && rest[0] !== undefined ? helpOf(commandOf(rest[0])) : overview(ALL));
      return name === undefined && !argv.includes("--help") && argv.length > 0
        ? EXIT.usage
        : EXIT.ok;
    }
    command = commandOf(name);
    const at = contextOf(command, rest, io);
    if (at.flags.on("help")) {
      io.out(helpOf(command));
      return EXIT.ok;
    }
    return await runWhere(command, at);
  } catch (thrown) {
    const { exit, problem } = problemOf(thrown);
    if (wantsJson(argv)) io.err(`${safeJson(problem)}\n`);
    else {
      io.err(`${sentenceOf(problem)}\n`);
      const help = command === undefined ? "libos help" : `libos ${command.name} --help`;
      if (thrown instanceof UsageError) io.err(`See: ${help}\n`);
    }
    return exit;
  }
}

function commandOf(name: string): Command {
  const command = COMMANDS.get(name);
  if (command !== undefined) return command;
  refuseLater(name);
  const near = suggest(name, COMMANDS.keys());
  const hint = near === undefined ? "" : `, did you mean "${near}"?`;
  throw new UsageError(`Cannot run "${name}": no such command, expected one of libos help${hint}`);
}

/** The name of the command, and all else: options that every command takes may stand before it. */
function splitName(
  argv: readonly string[],
): { readonly name: string | undefined; readonly rest: readonly string[] } {
  const takesText = Object.entries(GLOBAL_OPTIONS).filter(([, { type }]) => type === "string")
    .flatMap(([name, option]) =>
      "short" in option ? [`--${name}`, `-${option.short}`] : [`--${name}`]
    );
  let at = 0;
  while (at < argv.length && argv[at]!.startsWith("-")) at += takesText.includes(argv[at]!) ? 2 : 1;
  return { name: argv[at], rest: [...argv.slice(0, at), ...argv.slice(at + 1)] };
}

function wantsJson(argv: readonly string[]): boolean {
  return argv.some((word, i) =>
    /^(-o|--output=)jsonl?$/.test(word) ||
    (/^(-o|--output)$/.test(word) && /^jsonl?$/.test(argv[i + 1] ?? ""))
  );
}

if (import.meta.main) Deno.exit(await main(Deno.args));
