/**
 * The demo: several processes audit a folder, each of which may read one part of it.
 *
 * `deno task demo [FOLDER]` needs no key, no model and no network. Kill it wherever you like and
 * start it again: it goes on where it was.
 *
 * Invariants:
 *   A1. The key of a run is the folder, the model and the goal: the same command goes on with the
 *       same tree while that lives, and starts another when it has ended.
 *   A2. The model and the readers have no authority but the capabilities the log shows.
 * @module
 */

import { join, relative } from "node:path";
import {
  type AgentProcess,
  createRuntime,
  type ExitStatus,
  type Line,
  type Model,
  openaiCompatibleModel,
  type Person,
  type Runtime,
  type Store,
  SysError,
} from "@agent-libos/core";
import { type TreeId, treeOf } from "../kernel/ids.ts";
import { sha256 } from "../kernel/json.ts";
import { shellWord } from "../providers/printable.ts";
import { nameOf, readArgs, USAGE } from "./audit_args.ts";
import { openFolder } from "./audit_folder.ts";
import { GRANTS, images, POLICY } from "./audit_images.ts";
import { OnlyTree, whoever } from "./audit_person.ts";
import { count } from "./audit_report.ts";
import { auditModel, REPORT } from "./audit_script.ts";
import { type Out, type Paint, painter, Screen } from "./audit_screen.ts";

/** How a run is made. */
export interface DemoOptions {
  /** The folder, as it was named. */
  readonly folder: string;
  /** Null: an audit. */
  readonly goal?: string | null;
  /** Null: the script. */
  readonly model?: Model | null;
  /** A path, or a store. */
  readonly store: string | Store;
  /** Answers requests. */
  readonly person: Person;
  readonly out: Out;
  readonly isColored?: boolean;
  /** Aborted: comes to its next wait, writes everything down, and ends with 130. */
  readonly signal?: AbortSignal;
}

/** Exit codes, the same as those of the command line tool. */
const EXIT = {
  ok: 0,
  error: 1,
  usage: 2,
  absent: 3,
  denied: 4,
  budget: 6,
  integrity: 7,
  stopped: 130,
};

/** What a refusal to start ends with, and what may help. */
const REFUSALS: { readonly [code: string]: { readonly code: number; readonly hint?: string } } = {
  EINVAL: { code: EXIT.usage, hint: "deno task demo --help" },
  ENOENT: { code: EXIT.absent },
  EFENCED: { code: EXIT.error, hint: "wait for the other demo, or give --db another file" },
  EBUDGET: { code: EXIT.budget },
};

/** Runs the demo with a command line; resolves to the exit code. */
export async function main(args: string[]): Promise<number> {
  const stop = new AbortController();
  const interrupted = (): void => {
    if (stop.signal.aborted) Deno.exit(EXIT.stopped);
    stop.abort();
  };
  Deno.addSignalListener("SIGINT", interrupted);
  try {
    const sample = new URL("sample", import.meta.url).pathname;
    // "deno task demo -- …" hands the dashes on.
    const given = args[0] === "--" ? args.slice(1) : args;
    const read = readArgs(given, decodeURIComponent(sample));
    if (read === null) {
      console.log(USAGE);
      return EXIT.ok;
    }
    const out: Out = (line) => console.log(line);
    return await runDemo({
      folder: read.folder,
      goal: read.goal,
      model: read.model === null ? null : endpoint(read.model),
      store: read.db,
      person: whoever(out),
      out,
      isColored: Deno.stdout.isTerminal() && !Deno.noColor,
      signal: stop.signal,
    });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    console.error(`error: ${error.message}`);
    const { code, hint } = REFUSALS[error.code] ?? { code: EXIT.error, hint: undefined };
    if (hint !== undefined) console.error(`Try: ${hint}`);
    return code;
  } finally {
    Deno.removeSignalListener("SIGINT", interrupted);
  }
}

function endpoint({ url, id }: { readonly url: string; readonly id: string }): Model {
  const apiKey = Deno.env.get("LIBOS_MODEL_KEY");
  return openaiCompatibleModel({
    url,
    modelId: id,
    ...(apiKey === undefined || apiKey === "" ? {} : { apiKey }),
  });
}

/** Runs the demo; throws `SysError` for what cannot be started. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const folder = openFolder(options.folder);
  const name = nameOf(folder);
  const goal = options.goal ?? `Audit ${name} and write a report`;
  const isScripted = (options.model ?? null) === null;
  const model = options.model ?? auditModel(name, "scripted/auditor");
  const key = `demo ${sha256(JSON.stringify([folder, model.id, goal]))}`;
  const { lead, reader } = images(model, { version: key.slice(5, 13), isScripted });
  const person = new OnlyTree(options.person);
  const runtime = await createRuntime({
    store: options.store,
    workspace: folder,
    images: [lead, reader],
    policy: POLICY,
    approvals: person,
  });
  const paint = painter(options.isColored === true);
  try {
    const { store } = runtime.node.options;
    const shown = isScripted ? "scripted (deterministic)" : model.id;
    options.out(paint("bold", "Agent libOS") + ` · store ${store.name} · model ${shown}`);
    const earlier = (await runtime.trees()).find(({ summary }) => summary.key === key);
    const follow = follower(runtime, new Screen(options.out, paint));
    if (earlier !== undefined && earlier.seq > 0) {
      options.out(`going on with tree ${earlier.tree} at line ${earlier.seq}`);
    }
    const process = await runtime.spawn(lead, {
      goal,
      grants: GRANTS,
      images: [reader],
      idempotencyKey: key,
    });
    follow(process.pid);
    person.open(process.pid);
    const ended = await endOf(process, options.signal);
    if (ended === null) {
      options.out("stopping: what is under way comes to its end; Ctrl-C again stops at once");
      await runtime.close();
      options.out(`stopped: run the same command again to go on with tree ${treeOf(process.pid)}`);
      return EXIT.stopped;
    }
    return await summarize(runtime, { ended, options, paint, folder, isScripted });
  } finally {
    await runtime.close();
  }
}

/** Shows the lines of one tree, from the first on, though its id is known only afterwards. */
function follower(runtime: Runtime, screen: Screen): (root: string) => void {
  const held: (readonly Line[])[] = [];
  let ours: TreeId | null = null;
  runtime.node.listen((tree, lines) => {
    if (ours === null) held.push(lines);
    else if (tree === ours) screen.show(lines);
  });
  return (root) => {
    ours = treeOf(root);
    screen.begin(root);
    for (const lines of held) if (lines[0]?.tree === ours) screen.show(lines);
  };
}

/** How the root process ended; null when the run was stopped before. */
async function endOf(process: AgentProcess, signal?: AbortSignal): Promise<ExitStatus | null> {
  try {
    return await process.wait(signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted === true) return null;
    throw error;
  }
}

/** The last lines, and the exit code. */
async function summarize(runtime: Runtime, run: {
  readonly ended: ExitStatus;
  readonly options: DemoOptions;
  readonly paint: Paint;
  readonly folder: string;
  readonly isScripted: boolean;
}): Promise<number> {
  const { ended, options, paint, folder, isScripted } = run;
  const { out } = options;
  const tree = treeOf(ended.pid);
  const processes = (await runtime.ps({ all: true })).filter((each) => each.tree === tree);
  const tokens = processes.reduce((total, { spent }) => total + spent.tokens, 0);
  const { calls, approvals, written } = await reckon(runtime, tree);
  const log = (await runtime.verify()).find((each) => each.tree === tree)!;
  const proof = log.broken === null
    ? paint("green", "log verified") + ` (${log.lines} lines, head ${log.head.slice(0, 12)}…)`
    : paint("red", `LOG BROKEN: ${log.broken}`);
  out([
    count(processes.length, "process", "es"),
    `${count(calls.allow + calls.ask + calls.deny, "call")} (${calls.allow} allowed, ` +
    `${calls.ask} asked, ${calls.deny} denied)`,
    count(approvals, "approval"),
    count(tokens, "token"),
    proof,
  ].join(" · "));
  const db = typeof options.store === "string" ? options.store : ".libos/demo.db";
  const path = relative(".", join(folder, REPORT));
  const inspect = `deno task libos --db ${shellWord(db)} ps -a`;
  out(`Next: ${written === "done" ? `cat ${shellWord(path)} · ` : ""}${inspect}`);
  if (log.broken !== null) return EXIT.integrity;
  if (!ended.ok) {
    const { outcome } = ended;
    const why = outcome.kind === "failed" ? outcome.message : `it was ${outcome.kind}`;
    const code = outcome.kind === "failed" ? outcome.code : "ECANCELED";
    throw new SysError(code === "EBUDGET" ? code : "EIO", `Cannot finish the run: ${why}`);
  }
  if (!isScripted || written === "done") return EXIT.ok;
  return written === "refused" ? EXIT.denied : EXIT.error;
}

/** What became of the report. */
type Written = "done" | "refused" | "failed" | "no";

/** A line of the log, as far as it is counted. */
interface Counted {
  readonly pid: string;
  readonly step: number;
  readonly key: string;
  readonly name: string;
  readonly decision: { readonly effect: "allow" | "ask" | "deny"; readonly rule?: string };
  readonly answer: { readonly outcome: string };
  readonly result: { readonly ok: boolean };
}

/** What the log says of calls and approvals, and of what was written. */
async function reckon(runtime: Runtime, tree: TreeId): Promise<{
  readonly calls: Readonly<Record<"allow" | "ask" | "deny", number>>;
  readonly approvals: number;
  readonly written: Written;
}> {
  const calls = { allow: 0, ask: 0, deny: 0 };
  let approvals = 0;
  let written: Written = "no";
  const writes = new Set<string>();
  for await (const { type, data } of runtime.log(tree)) {
    const all = data as unknown as Counted;
    const id = `${all.pid}#${all.step}.${all.key}`;
    if (type === "human.answered" && all.answer.outcome === "approve") approvals += 1;
    if (type === "call.intent" && all.name === "file.write") writes.add(id);
    if (type === "call.intent" || type === "call.done") {
      const { effect, rule } = all.decision;
      calls[effect === "allow" && rule?.startsWith("ask ") ? "ask" : effect] += 1;
    }
    const isWrite = type === "call.outcome" ? writes.has(id) : all.name === "file.write";
    if (!isWrite || (type !== "call.outcome" && type !== "call.done")) continue;
    if (all.result.ok) written = "done";
    else if (written !== "done") {
      written = type === "call.done" && all.decision.effect === "deny" ? "refused" : "failed";
    }
  }
  return { calls, approvals, written };
}

if (import.meta.main) Deno.exit(await main(Deno.args));
