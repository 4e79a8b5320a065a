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

import {
  createRuntime,
  type ExitStatus,
  type Model,
  openaiCompatibleModel,
  type Person,
  type Runtime,
  type Store,
  SysError,
} from "@agent-libos/core";
import type { TreeId } from "../kernel/ids.ts";
import { sha256 } from "../kernel/json.ts";
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
const EXIT = { ok: 0, error: 1, usage: 2, absent: 3, denied: 4, integrity: 7, stopped: 130 };

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
    const read = readArgs(args, decodeURIComponent(sample));
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
    if (error.code === "EINVAL") console.error("Try: deno task demo --help");
    return error.code === "EINVAL"
      ? EXIT.usage
      : error.code === "ENOENT"
      ? EXIT.absent
      : EXIT.error;
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
    const screen = new Screen(options.out, paint);
    runtime.node.listen((tree, lines) => {
      if (lines[0]!.tree === tree && isOurs(tree)) screen.show(lines);
    });
    let ours: TreeId | null = earlier?.tree ?? null;
    const isOurs = (tree: TreeId): boolean => tree === (ours ??= tree);
    if (earlier !== undefined && earlier.seq > 0) {
      screen.resume(`p_${earlier.tree.slice(2)}`);
      options.out(`going on with tree ${earlier.tree} at line ${earlier.seq}`);
    }
    const process = await runtime.spawn(lead, {
      goal,
      grants: GRANTS,
      images: [reader],
      idempotencyKey: key,
    });
    person.open(process.pid);
    const ended = await endOf(process, options.signal);
    if (ended === null) return stopped(runtime, options);
    return await summarize(runtime, { ended, options, paint, folder });
  } finally {
    await runtime.close();
  }
}
