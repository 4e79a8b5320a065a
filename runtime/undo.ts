/**
 * Putting files back as they were at an earlier position of a log.
 *
 * Invariants:
 *   U1. A path is touched only when it is exactly as the tree's last effect on it left it.
 *   U2. What is done is in the log before and after; done twice, it changes nothing more.
 * @module
 */

import { bytesOf, seenAny } from "../broker/calls/file.ts";
import { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import type { Json } from "../kernel/json.ts";
import { type Digest, type Touched, type Trace, tracesOf } from "../kernel/touch.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Files } from "../kernel/world.ts";
import type { Node } from "./node.ts";

/** What becomes of one path when files are put back. */
export interface FileUndo {
  /** Relative to the workspace. */
  readonly path: string;
  /** What has to be done. */
  readonly action: "write" | "remove" | "make folder";
  /**
   * "ready": it can be done. "done": it was, or is so already. "conflict": somebody else changed it
   * since. "lost": what was there was too large to be kept. "failed": `why` says.
   */
  readonly state: "ready" | "done" | "conflict" | "lost" | "failed";
  /** A sentence; empty where there is nothing to say. */
  readonly why: string;
}

interface Step extends FileUndo {
  readonly trace: Trace;
}

/** What would be done, and what stands against it. Changes nothing. */
export async function planUndo(
  files: Files,
  touches: readonly Touched[],
): Promise<readonly FileUndo[]> {
  return (await stepsOf(files, touches)).map(shown);
}

async function stepsOf(files: Files, touches: readonly Touched[]): Promise<Step[]> {
  const steps: Step[] = [];
  for (const trace of tracesOf(touches)) {
    const { path, was, left, content } = trace;
    const now = (await seenAny(files, path)).digest;
    const action = was === null ? "remove" : was === "folder" ? "make folder" : "write";
    const step = { path, action, trace } as const;
    if (now === was) steps.push({ ...step, state: "done", why: "" });
    else if (now !== left) steps.push({ ...step, state: "conflict", why: conflict(now, left) });
    else if (action === "write" && content === null) {
      steps.push({ ...step, state: "lost", why: "its content was too large to be kept" });
    } else steps.push({ ...step, state: "ready", why: "" });
  }
  return steps.sort(inOrder);
}

function shown({ path, action, state, why }: FileUndo): FileUndo {
  return { path, action, state, why };
}

function conflict(now: Digest, left: Digest): string {
  const say = (digest: Digest): string => digest === null ? "nothing" : digest.slice(0, 12);
  return `it is ${say(now)} now, and was left as ${say(left)}`;
}

const ORDER = ["remove", "make folder", "write"];

/** Files go before the folders they are in, and come after them. */
function inOrder(one: Step, other: Step): number {
  const by = ORDER.indexOf(one.action) - ORDER.indexOf(other.action);
  if (by !== 0) return by;
  const deeper = other.path.split("/").length - one.path.split("/").length;
  return one.action === "remove" ? deeper : -deeper;
}

/** Puts files back (U1, U2). What cannot be is left alone, and said. */
export async function undoFiles(node: Node, tree: Tree, given: {
  readonly files: Files;
  readonly touches: readonly Touched[];
  readonly to: number;
  readonly by: string;
}): Promise<readonly FileUndo[]> {
  const { files, to, by } = given;
  const steps = await stepsOf(files, given.touches);
  const ready = steps.filter(({ state }) => state === "ready");
  if (ready.length === 0) return steps.map(shown);
  await note(node, tree, { type: "files.undoing", to, by, steps: ready });
  const done: Step[] = [];
  for (const step of steps) {
    done.push(step.state === "ready" ? await undo(node, tree, files, step) : step);
  }
  const made = done.filter(({ state }, i) => state === "done" && steps[i]!.state === "ready");
  await note(node, tree, { type: "files.undone", to, by, steps: made });
  return done.map(shown);
}

async function undo(node: Node, tree: Tree, files: Files, step: Step): Promise<Step> {
  const { path, trace: { was, left, content } } = step;
  try {
    if (was === null || (left === "folder" && was !== "folder")) await files.remove(path);
    if (was === "folder") await files.mkdir(path);
    else if (was !== null && content !== null) {
      const value: Json = tree.peek(content) ??
        await node.load(tree, (content as { readonly hash: string }).hash);
      await files.write(path, bytesOf(value), { create: true, replace: true });
    }
    return { ...step, state: "done" };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return { ...step, state: "failed", why: error.message };
  }
}

async function note(node: Node, tree: Tree, what: {
  readonly type: "files.undoing" | "files.undone";
  readonly to: number;
  readonly by: string;
  readonly steps: readonly Step[];
}): Promise<void> {
  const { type, to, by, steps } = what;
  const draft = new Draft(tree, node.options.world.clock.now());
  const touches = steps.map(({ path, trace: { was, left, content } }): Touched => ({
    path,
    before: left,
    after: was,
    content: type === "files.undone" ? null : content,
  }));
  draft.add(type, { to, by, touches });
  tree.commit(draft);
  node.changed(tree);
  await node.durable(tree);
}
