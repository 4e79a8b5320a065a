/**
 * Files: paths are resolved once, against the process's working directory; what is authorized is
 * what the provider acts on.
 * @module
 */

import { z } from "zod";
import { SysError } from "../../kernel/errors.ts";
import { type Json, sha256 } from "../../kernel/json.ts";
import { fits, joinLabels, type Label, originOf, withOrigin } from "../../kernel/label.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { FILE_LABEL, markOf, markUnder } from "../../kernel/mark.ts";
import { factsOf } from "../../kernel/media.ts";
import { isOwned, OWNED, type Owned } from "../../kernel/owned.ts";
import { resolvePath, toProviderPath } from "../../kernel/path.ts";
import { labelFor } from "../../kernel/policy.ts";
import type { Digest } from "../../kernel/touch.ts";
import type { Files } from "../../kernel/world.ts";
import { nothing, pathShape } from "../shapes.ts";
import {
  type CallContext,
  type Need,
  type NeedContext,
  type Reconciled,
  syscall,
} from "../syscall.ts";
import { writePreview } from "../write_preview.ts";

/** What of the workspace is the runtime's own, and nobody's to see. */
export function ownedHere({ world }: Pick<NeedContext, "world">): readonly Owned[] {
  return world.files?.owned?.() ?? [];
}

/** The label of what is read from a file: what rules say, and what was written there. */
export function fileLabel({ tree }: Pick<CallContext, "tree">, resource: string): Label {
  const label = labelFor(tree.policy, "file.read", resource) ?? FILE_LABEL;
  const mark = markOf(tree.state.marks, toProviderPath(resource));
  const from = withOrigin(label, originOf("file.read", resource));
  return mark === null ? from : joinLabels(from, mark);
}

/** The provider of files, or `ENOSYS` when this runtime has none. */
export function filesOf(at: CallContext): Files {
  if (at.world.files !== null) return at.world.files;
  throw new SysError("ENOSYS", "Cannot use files: this runtime has no workspace");
}

/** A need of a right on a path. */
export function need(right: string, at: NeedContext, path: string): Need {
  const resource = resolvePath(at.cwd, path);
  refuseOwned(at, resource, path);
  return { right, resource };
}

/** Refuses the runtime's own before anybody is asked about it: no answer would open it. */
export function refuseOwned(
  at: Pick<NeedContext, "world">,
  resource: string,
  path: string = resource,
): void {
  if (!isOwned(ownedHere(at), resource)) return;
  throw new SysError("EACCES", `Cannot use "${path}": ${OWNED}`);
}

function inside(at: CallContext, path: string): { resource: string; path: string } {
  const resource = resolvePath(at.cwd, path);
  return { resource, path: toProviderPath(resource) };
}

/** Bytes as text, or `EINVAL` when they are not UTF-8. */
export function decodeText(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const type = factsOf(bytes)?.mediaType;
    const found = type === undefined ? "not UTF-8" : `not UTF-8 but ${type}`;
    const other = type === undefined ? "" : ", or keep it with object.import";
    const expected = `expected text; read it with encoding "base64"${other}`;
    throw new SysError("EINVAL", `Cannot read file "${path}" as text: ${found}, ${expected}`);
  }
}

/** Bytes of a text or of base64. */
export function encodeBytes(text: string, encoding: "utf8" | "base64"): Uint8Array {
  if (encoding === "utf8") return new TextEncoder().encode(text);
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    throw new SysError("EINVAL", "Cannot write the file: its text is not base64");
  }
}

/** How many bytes a text is, or at most where it is base64. */
export function bytesIn(text: string, encoding: "utf8" | "base64"): number {
  if (encoding === "base64") return Math.ceil(text.length * 3 / 4);
  return new TextEncoder().encode(text).length;
}

/** What is at a path now, with a file's content where that is not too much to keep. */
export async function seen(files: Files, path: string): Promise<{
  readonly digest: Digest;
  readonly content: Json;
}> {
  const digest = await files.digest(path);
  if (digest === null) return { digest, content: null };
  try {
    const bytes = await files.read(path, { bytesMax: LIMITS.fileBytesMax });
    // Changed in between: then what would be kept is not what is replaced.
    return { digest, content: sha256(bytes) === digest ? contentOf(bytes) : null };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return { digest, content: null };
  }
}

/** The same, where it may be a folder. */
export async function seenAny(files: Files, path: string): ReturnType<typeof seen> {
  const found = await seen(files, path);
  if (found.digest !== null) return found;
  const stat = await files.stat(path);
  if (stat === undefined) return found;
  return { digest: stat.kind === "directory" ? "folder" : "other", content: null };
}

/** A file's content as a value: text, or base64 for what is not UTF-8. */
export function contentOf(bytes: Uint8Array): Json {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { base64: bytes.toBase64() };
  }
}

/** The bytes of a content. */
export function bytesOf(content: Json): Uint8Array {
  if (typeof content === "string") return new TextEncoder().encode(content);
  return Uint8Array.fromBase64((content as { readonly base64: string }).base64);
}

/** After a crash: the content tells whether a write happened. */
export async function reconcileContent(
  at: CallContext,
  given: { readonly path: string; readonly wanted: string; readonly before: unknown },
): Promise<Reconciled> {
  const now = await filesOf(at).digest(given.path);
  if (now === given.wanted) return { state: "done", reply: null };
  return now === given.before ? { state: "not-done" } : { state: "unknown" };
}

const encoding = z.enum(["utf8", "base64"]).default("utf8");

/** Calls on files. */
export const fileCalls = {
  "file.read": syscall({
    about: "Read a file",
    effect: "observe",
    args: z.strictObject({
      path: pathShape,
      encoding,
      bytesMax: z.number().int().min(1).max(LIMITS.fileBytesMax).default(LIMITS.fileBytesMax),
    }),
    reply: z.strictObject({ text: z.string(), bytes: z.number(), sha256: z.string() }),
    needs: ({ path, bytesMax }, at) => [
      { ...need("file.read", at, path), bytes: bytesMax },
    ],
    async run(at, args) {
      const { path, resource } = inside(at, args.path);
      const bytes = await filesOf(at).read(path, { bytesMax: args.bytesMax });
      at.taint(fileLabel(at, resource));
      const text = args.encoding === "utf8" ? decodeText(resource, bytes) : bytes.toBase64();
      return { text, bytes: bytes.length, sha256: sha256(bytes) };
    },
  }),
  "file.list": syscall({
    about: "List a folder",
    effect: "observe",
    args: z.strictObject({ path: pathShape.default(".") }),
    reply: z.strictObject({
      entries: z.array(z.strictObject({ name: z.string(), kind: z.string() })),
    }),
    needs: ({ path }, at) => [need("file.list", at, path)],
    async run(at, args) {
      const { path, resource } = inside(at, args.path);
      // Whoever wrote a file chose its name.
      at.taint(labelFor(at.tree.policy, "file.list", resource) ?? FILE_LABEL);
      const mark = markUnder(at.tree.state.marks, path);
      if (mark !== null) at.taint(mark);
      const entries = await filesOf(at).list(path, { entriesMax: LIMITS.fileEntriesMax });
      return { entries: entries.map(({ name, kind }) => ({ name, kind })) };
    },
  }),
  "file.stat": syscall({
    about: "Tell what a path is; null when there is nothing",
    effect: "observe",
    args: z.strictObject({ path: pathShape }),
    reply: z.strictObject({
      stat: z.strictObject({ kind: z.string(), bytes: z.number(), modifiedMs: z.number() })
        .nullable(),
    }),
    needs: ({ path }, at) => [need("file.stat", at, path)],
    async run(at, args) {
      return { stat: await filesOf(at).stat(inside(at, args.path).path) ?? null };
    },
  }),
  "file.write": syscall({
    about: "Write a file, whole, in one step",
    effect: "emit",
    risk: "medium",
    args: z.strictObject({
      path: pathShape,
      text: z.string(),
      encoding,
      mode: z.enum(["create", "replace", "either"]).default("either")
        .describe("create: it must not exist; replace: it must exist"),
    }),
    reply: z.strictObject({ bytes: z.number(), sha256: z.string() }),
    needs: ({ path, text, encoding }, at) => [
      { ...need("file.write", at, path), bytes: bytesIn(text, encoding) },
    ],
    async preview(at, args) {
      const bytes = encodeBytes(args.text, args.encoding);
      const { files } = at.world;
      return files === null ? "" : await writePreview(files, inside(at, args.path).path, bytes);
    },
    async prepare(at, args) {
      const bytes = encodeBytes(args.text, args.encoding);
      if (bytes.length > LIMITS.fileBytesMax) {
        const sentence = `Cannot write file "${args.path}": ${bytes.length} bytes`;
        throw new SysError("ELIMIT", `${sentence}, expected ${LIMITS.fileBytesMax} at most`);
      }
      const { path } = inside(at, args.path);
      return { path, bytes, was: await seen(filesOf(at), path) };
    },
    before: ({ was }) => was.digest,
    touches: ({ path, bytes, was }) => [
      { path, before: was.digest, after: sha256(bytes), content: was.content },
    ],
    async run(at, args, { path, bytes }) {
      await filesOf(at).write(path, bytes, {
        create: args.mode !== "replace",
        replace: args.mode !== "create",
      });
      return { bytes: bytes.length, sha256: sha256(bytes) };
    },
    async lost(at, args, before) {
      const bytes = encodeBytes(args.text, args.encoding);
      const wanted = sha256(bytes);
      const found = await reconcileContent(at, {
        path: inside(at, args.path).path,
        wanted,
        before,
      });
      return found.state === "done"
        ? { state: "done", reply: { bytes: bytes.length, sha256: wanted } }
        : found;
    },
  }),
  "file.mkdir": syscall({
    about: "Make a folder in one that is there",
    effect: "emit",
    args: z.strictObject({ path: pathShape }),
    reply: nothing,
    needs: ({ path }, at) => [need("file.mkdir", at, path)],
    async prepare(at, args) {
      const { path } = inside(at, args.path);
      return { path, was: await seenAny(filesOf(at), path) };
    },
    touches: ({ path, was }) => [
      { path, before: was.digest, after: was.digest ?? "folder", content: null },
    ],
    async run(at, _args, { path }) {
      await filesOf(at).mkdir(path);
      return {};
    },
    async lost(at, args) {
      const stat = await filesOf(at).stat(inside(at, args.path).path);
      return stat?.kind === "directory" ? { state: "done", reply: {} } : { state: "not-done" };
    },
  }),
  "file.move": syscall({
    about: "Move a file to a name that is free; a folder is moved file by file",
    effect: "emit",
    risk: "high",
    args: z.strictObject({ from: pathShape, to: pathShape }),
    reply: nothing,
    // What can be moved can be read under its new name.
    needs: ({ from, to }, at) => [
      need("file.move", at, from),
      need("file.read", at, from),
      need("file.write", at, to),
    ],
    async prepare(at, args) {
      const [from, to] = [inside(at, args.from), inside(at, args.to)];
      // Rules about what is below a folder name its paths, and would not hold for the new ones.
      if ((await filesOf(at).stat(from.path))?.kind === "directory") {
        throw new SysError("EINVAL", `Cannot move "${args.from}": a folder, expected a file`);
      }
      const label = labelFor(at.tree.policy, "file.read", from.resource) ?? FILE_LABEL;
      const there = labelFor(at.tree.policy, "file.read", to.resource) ?? FILE_LABEL;
      if (!fits(label, there)) {
        const lost = "its label would be lost there, expected a place with the same label rule";
        throw new SysError("EACCES", `Cannot move "${args.from}" to "${args.to}": ${lost}`);
      }
      return { from: from.path, to: to.path, was: await seen(filesOf(at), from.path) };
    },
    touches: ({ from, to, was }) => [
      { path: from, before: was.digest, after: null, content: was.content },
      { path: to, before: null, after: was.digest, content: null },
    ],
    async run(at, _args, { from, to }) {
      await filesOf(at).move(from, to);
      return {};
    },
    async lost(at, args) {
      const files = filesOf(at);
      const from = await files.stat(inside(at, args.from).path);
      const to = await files.stat(inside(at, args.to).path);
      if (from === undefined && to !== undefined) return { state: "done", reply: {} };
      return from !== undefined && to === undefined ? { state: "not-done" } : { state: "unknown" };
    },
  }),
  "file.remove": syscall({
    about: "Remove a file or an empty folder",
    effect: "emit",
    risk: "destructive",
    args: z.strictObject({ path: pathShape }),
    reply: nothing,
    needs: ({ path }, at) => [need("file.remove", at, path)],
    async prepare(at, args) {
      const { path } = inside(at, args.path);
      return { path, was: await seenAny(filesOf(at), path) };
    },
    before: ({ was }) => was.digest === "folder" || was.digest === "other" ? null : was.digest,
    touches: ({ path, was }) => [
      { path, before: was.digest, after: null, content: was.content },
    ],
    async run(at, args) {
      await filesOf(at).remove(inside(at, args.path).path);
      return {};
    },
    async lost(at, args, before) {
      const { path } = inside(at, args.path);
      if (await filesOf(at).stat(path) === undefined) return { state: "done", reply: {} };
      // Something made there since is not what was to be removed.
      const now = await filesOf(at).digest(path);
      return now === before ? { state: "not-done" } : { state: "unknown" };
    },
  }),
};
