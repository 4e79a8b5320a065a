/**
 * Object Memory: values with versions, lists, links; and the bridge between files and objects.
 * @module
 */

import { z } from "zod";
import { SysError } from "../../kernel/errors.ts";
import type { ValueRef } from "../../kernel/event.ts";
import { type Json, sha256 } from "../../kernel/json.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { isMediaKind, kindOf, MEDIA_KINDS, mediaOf } from "../../kernel/media.ts";
import {
  append,
  create,
  existing,
  itemsOf,
  lengthAt,
  link,
  linksAt,
  remove,
  versionAt,
  write,
  type Writing,
} from "../../kernel/memory.ts";
import { type Found, fullName, namespaceOf } from "../../kernel/names.ts";
import { resolvePath, toProviderPath } from "../../kernel/path.ts";
import type { Process } from "../../kernel/state.ts";
import { jsonShape, nothing, objectIdShape, objectShape, pathShape } from "../shapes.ts";
import { type CallContext, type Need, type NeedContext, syscall } from "../syscall.ts";
import {
  decodeText,
  encodeBytes,
  fileLabel,
  filesOf,
  need,
  reconcileContent,
  seen,
} from "./file.ts";
import { find } from "../find.ts";

type At = NeedContext;

function on(right: string, ref: string, { tree, process }: At): Need {
  return { right, resource: tree.resolve(process.pid, ref).name, shown: ref };
}

function writing(at: CallContext, sources: readonly string[] = []): Writing {
  return { process: at.process, call: at.call, sources, label: null };
}

function spaceOf(prefix: string | undefined, process: Process): { space: string; under: string } {
  if (prefix === undefined || prefix === "" || prefix === "/") {
    return { space: process.pid, under: `${process.pid}/` };
  }
  const name = fullName(process.pid, prefix.replace(/\/+$/, "") + "/x").slice(0, -1);
  return { space: namespaceOf(name), under: name };
}

/** Answers at once when all values are in memory, which spares a turn and a second look. */
function whenLoaded<T>(
  at: CallContext,
  refs: readonly ValueRef[],
  answer: (values: readonly Json[]) => T,
): T | Promise<T> {
  const known = refs.map((ref) => at.tree.peek(ref));
  if (known.every((value) => value !== undefined)) return answer(known as Json[]);
  return Promise.all(refs.map((ref) => at.load(ref))).then(answer);
}

const version = z.number().int().min(0);

function summary(name: string, found: Found): Record<string, unknown> {
  const object = found.object!;
  const { asOf } = found;
  return {
    id: object.id,
    name,
    type: object.type,
    version: object.list ? lengthAt(object, asOf) : versionAt(object, asOf).version,
    list: object.list,
    mutable: object.mutable,
    label: object.list || asOf === null ? object.label : versionAt(object, asOf).label,
  };
}

/** Calls on objects. */
export const objectCalls = {
  "object.create": syscall({
    about: "Keep a value under a new name",
    effect: "mutate",
    args: z.strictObject({
      name: objectShape,
      type: z.string().max(64).default("json"),
      value: jsonShape.optional(),
      mutable: z.boolean().default(false),
      list: z.boolean().default(false).describe("An append-only list instead of one value"),
    }),
    reply: z.strictObject({ object: objectIdShape, version }),
    needs: ({ name }, { process }) => [
      { right: "object.create", resource: fullName(process.pid, name) },
    ],
    run: (at, args) =>
      create(at.draft, writing(at), {
        name: fullName(at.pid, args.name),
        type: args.type,
        mutable: args.mutable,
        list: args.list,
        value: args.value ?? null,
      }),
  }),
  "object.read": syscall({
    about: "Read an object's value, or items of a list, and what it links to",
    effect: "observe",
    args: z.strictObject({
      object: objectShape,
      from: version.optional().describe("List: first item"),
      to: version.optional().describe("List: one past the last item"),
    }),
    reply: z.looseObject({
      value: jsonShape,
      version,
      links: z.array(z.strictObject({ relation: z.string(), to: objectIdShape })).optional()
        .describe("Absent where there are none"),
    }),
    needs: ({ object }, at) => [on("object.read", object, at)],
    run(at, args) {
      const found = at.tree.resolve(at.pid, args.object);
      const object = existing(found, "read");
      at.taint(object.label);
      const links = linksAt(object, found.asOf);
      const more = links.length === 0 ? {} : { links };
      const base = { id: object.id, type: object.type, label: object.label, ...more };
      if (!object.list) {
        const { version, value } = versionAt(object, found.asOf);
        return whenLoaded(at, [value], ([only]) => ({ ...base, version, value: only }));
      }
      const length = lengthAt(object, found.asOf);
      const from = Math.min(args.from ?? 0, length);
      const to = Math.max(from, Math.min(args.to ?? length, length));
      const refs = itemsOf(at.tree.state, object, from, to).map((item) => item.value);
      return whenLoaded(at, refs, (value) => ({ ...base, version: length, value }));
    },
  }),
  "object.write": syscall({
    about: "Replace a mutable object's value, if it has not changed since it was read",
    effect: "mutate",
    args: z.strictObject({ object: objectShape, value: jsonShape, from: version }),
    reply: z.strictObject({ version }),
    needs: ({ object }, at) => [on("object.write", object, at)],
    run: (at, args) =>
      write(at.draft, writing(at), {
        found: at.tree.resolve(at.pid, args.object),
        value: args.value,
        from: args.from,
      }),
  }),
  "object.append": syscall({
    about: "Add an item at the end of a list",
    effect: "mutate",
    args: z.strictObject({ object: objectShape, item: jsonShape }),
    reply: z.strictObject({ version }),
    needs: ({ object }, at) => [on("object.append", object, at)],
    run: (at, args) =>
      append(at.draft, writing(at), {
        found: at.tree.resolve(at.pid, args.object),
        item: args.item,
      }),
  }),
  "object.delete": syscall({
    about: "Delete an object",
    effect: "mutate",
    risk: "high",
    args: z.strictObject({ object: objectShape }),
    reply: nothing,
    needs: ({ object }, at) => [on("object.delete", object, at)],
    run(at, args) {
      remove(at.draft, at.process, at.tree.resolve(at.pid, args.object));
      return {};
    },
  }),
  "object.list": syscall({
    about: "List objects under a prefix",
    effect: "observe",
    args: z.strictObject({
      prefix: z.string().max(512).optional().describe("Such as notes; all of the own memory"),
    }),
    reply: z.strictObject({ objects: z.array(z.looseObject({ name: z.string() })) }),
    needs: ({ prefix }, { process }) => [{
      right: "object.list",
      resource: spaceOf(prefix, process).under.slice(0, -1),
    }],
    run(at, args) {
      const { space, under } = spaceOf(args.prefix, at.process);
      const shown = [...at.tree.listNames(space)]
        .filter(({ name }) => name.startsWith(under))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .slice(0, LIMITS.fileEntriesMax);
      // Who made an object chose its name; what a view shows, its caller had seen when it began.
      for (const { object, asOf } of shown) {
        if (object?.owner !== at.pid && asOf === null) at.taint(object!.label);
      }
      const own = `${at.pid}/`;
      return {
        objects: shown.map((found) =>
          summary(
            found.name.startsWith(own) ? found.name.slice(own.length) : `/${found.name}`,
            found,
          )
        ),
      };
    },
  }),
  "object.find": syscall({
    about: "Find objects by words in their text, best first",
    effect: "observe",
    args: z.strictObject({
      query: z.string().min(1).max(1_024),
      prefix: z.string().max(512).optional(),
      limit: z.number().int().min(1).max(LIMITS.findResultsMax).default(10),
    }),
    reply: z.strictObject({ found: z.array(z.looseObject({ name: z.string() })) }),
    needs: ({ prefix }, { process }) => [{
      right: "object.find",
      resource: spaceOf(prefix, process).under.slice(0, -1),
    }],
    async run(at, args) {
      const { space, under } = spaceOf(args.prefix, at.process);
      const found = await find(at, { space, under, query: args.query, limit: args.limit });
      for (const { object } of found) at.taint(object.label);
      const own = `${at.pid}/`;
      return {
        found: found.map(({ score, excerpt, ...hit }) => ({
          ...summary(hit.name.startsWith(own) ? hit.name.slice(own.length) : `/${hit.name}`, hit),
          score,
          excerpt,
        })),
      };
    },
  }),
  "object.link": syscall({
    about: "Link one object to another by a relation",
    effect: "mutate",
    args: z.strictObject({
      object: objectShape,
      relation: z.string().min(1).max(64),
      to: objectShape,
    }),
    reply: nothing,
    needs: ({ object, to }, at) => [on("object.link", object, at), on("object.read", to, at)],
    run(at, args) {
      link(at.draft, writing(at), {
        found: at.tree.resolve(at.pid, args.object),
        relation: args.relation,
        to: at.tree.resolve(at.pid, args.to),
      });
      return {};
    },
  }),
  "object.import": syscall({
    about: "Keep a file's content as an object, without it passing through the caller",
    effect: "mutate",
    args: z.strictObject({
      path: pathShape,
      name: objectShape,
      type: z.enum(["text", ...MEDIA_KINDS]).optional()
        .describe("What it has to be; what its content says when absent"),
    }),
    reply: z.looseObject({ object: objectIdShape, version, bytes: version, type: z.string() }),
    needs: ({ path, name }, at) => [
      need("file.read", at, path),
      { right: "object.create", resource: fullName(at.process.pid, name) },
    ],
    async prepare(at, args) {
      const resource = resolvePath(at.cwd, args.path);
      const bytes = await filesOf(at).read(toProviderPath(resource), {
        bytesMax: LIMITS.fileBytesMax,
      });
      const label = fileLabel(at, resource);
      const from = `file:${resource}@${sha256(bytes)}`;
      return { ...imported(resource, bytes, args.type), bytes: bytes.length, from, label };
    },
    run(at, args, { type, value, facts, bytes, from, label }) {
      const name = fullName(at.pid, args.name);
      const spec = { name, type, mutable: false, list: false, value };
      const made = create(at.draft, { ...writing(at, [from]), label }, spec);
      return { ...made, bytes, type, ...facts };
    },
  }),
  "object.export": syscall({
    about: "Write an object's value into a file, without it passing through the caller",
    effect: "emit",
    risk: "medium",
    args: z.strictObject({ object: objectShape, path: pathShape }),
    reply: z.strictObject({ bytes: version, sha256: z.string() }),
    needs: ({ object, path }, at) => [
      on("object.read", object, at),
      need("file.write", at, path),
    ],
    async prepare(at, args) {
      const { bytes, from } = await exported(at, args.object);
      const path = toProviderPath(resolvePath(at.cwd, args.path));
      const wanted = sha256(bytes);
      return { bytes, from, path, wanted, was: await seen(filesOf(at), path) };
    },
    sends: ({ from, wanted }) => ({ ...from, sha256: wanted }),
    before: ({ wanted, was }) => ({ wanted, before: was.digest }),
    touches: ({ path, wanted, was }) => [
      { path, before: was.digest, after: wanted, content: was.content },
    ],
    async run(at, _args, { bytes, path, wanted }) {
      await filesOf(at).write(path, bytes, { create: true, replace: true });
      return { bytes: bytes.length, sha256: wanted };
    },
    async lost(at, args, before) {
      const kept = before as { readonly wanted: string; readonly before: string | null };
      const path = toProviderPath(resolvePath(at.cwd, args.path));
      const found = await reconcileContent(at, { path, ...kept });
      if (found.state !== "done") return found;
      const bytes = (await filesOf(at).stat(path))?.bytes ?? 0;
      return { state: "done", reply: { bytes, sha256: kept.wanted } };
    },
  }),
};

/** A file's content as the value of an object: what its header says it is, else text. */
function imported(path: string, bytes: Uint8Array, wanted: string | undefined): {
  readonly type: string;
  readonly value: Json;
  readonly facts: Readonly<Record<string, unknown>>;
} {
  const media = wanted === "text" ? undefined : mediaOf(bytes);
  const type = media === undefined ? "text" : kindOf(media.mediaType);
  if (wanted !== undefined && wanted !== type) {
    const found = media?.mediaType ?? "nothing with a header that is known";
    throw new SysError("EINVAL", `Cannot import "${path}": ${found}, expected "${wanted}"`);
  }
  if (media === undefined) return { type, value: decodeText(path, bytes), facts: {} };
  const { base64: _, ...facts } = media;
  return { type, value: media as unknown as Json, facts };
}

/** Media are written as what they are; all else as text. */
function written(type: string, value: Json): Uint8Array {
  if (isMediaKind(type)) return encodeBytes((value as { base64: string }).base64, "base64");
  return encodeBytes(typeof value === "string" ? value : JSON.stringify(value, null, 2), "utf8");
}

async function exported(at: CallContext, ref: string): Promise<{
  readonly bytes: Uint8Array;
  /** Which version of what it is. */
  readonly from: { readonly object: string; readonly version: number };
}> {
  const found = at.tree.resolve(at.pid, ref);
  const object = existing(found, "export");
  if (object.list) {
    throw new SysError("EINVAL", `Cannot export object "${found.name}": a list, expected a value`);
  }
  at.taint(object.label);
  const { version, value: kept } = versionAt(object, found.asOf);
  const value = await at.load(kept);
  return { bytes: written(object.type, value), from: { object: object.id, version } };
}

/** Calls on namespaces. */
export const namespaceCalls = {
  "namespace.create": syscall({
    about: "Make a namespace that processes of the tree can be given rights in",
    effect: "mutate",
    args: z.strictObject({ name: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/) }),
    reply: z.strictObject({ name: z.string() }),
    needs: ({ name }) => [{ right: "namespace.create", resource: name }],
    run(at, { name }) {
      if (Object.hasOwn(at.tree.state.namespaces, name) || name === "unknown") {
        throw new SysError("EEXIST", `Cannot create namespace "${name}": it exists already`);
      }
      if (Object.keys(at.tree.state.namespaces).length >= LIMITS.namespacesPerTreeMax * 2) {
        throw new SysError("ELIMIT", `Cannot create namespace "${name}": too many`, {
          limit: "namespacesPerTreeMax",
        });
      }
      at.draft.add("namespace.created", { name, owner: at.pid });
      return { name };
    },
  }),
  "namespace.list": syscall({
    about: "List the namespaces the caller owns",
    effect: "observe",
    args: nothing,
    reply: z.strictObject({ namespaces: z.array(z.string()) }),
    needs: () => [],
    run: (at) => ({
      namespaces: Object.entries(at.tree.state.namespaces)
        .filter(([, space]) => space.owner === at.pid)
        .map(([name]) => name),
    }),
  }),
};
