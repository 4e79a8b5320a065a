/**
 * Labels: taking one back from what somebody with the right to has looked at.
 *
 * Invariants:
 *   L1. What is declassified is one version of one object: an answer of a person, and the line of
 *       the log, are bound to the hash of what it says.
 *   L2. It is a copy under a new name. What was there keeps its label, and so does who has seen it.
 * @module
 */

import { z } from "zod";
import { SysError } from "../../kernel/errors.ts";
import { hashOf, type Json, sha256 } from "../../kernel/json.ts";
import {
  type Label,
  rankOfSensitivity,
  rankOfTrust,
  SENSITIVITIES,
  TRUSTS,
} from "../../kernel/label.ts";
import { create, existing, versionAt } from "../../kernel/memory.ts";
import type { Found } from "../../kernel/names.ts";
import { fullName } from "../../kernel/names.ts";
import type { ObjectRecord, Version } from "../../kernel/state.ts";
import { labelShape, objectIdShape, objectShape } from "../shapes.ts";
import { type CallContext, type NeedContext, syscall } from "../syscall.ts";

const PREVIEW_CHARS_MAX = 8_000;
const version = z.number().int().min(1);

interface Args {
  readonly object: string;
  readonly version: number;
  readonly sensitivity?: Label["sensitivity"] | undefined;
  readonly trust?: Label["trust"] | undefined;
}

/** Calls on labels. */
export const labelCalls = {
  "label.declassify": syscall({
    about: "Keep a copy of one version of an object under a new name, with a lower label",
    effect: "mutate",
    risk: "high",
    // What a tool that a model wrote finds harmless is no judgement.
    port: "closed",
    args: z.strictObject({
      object: objectShape,
      version: version.describe("Which version was looked at"),
      name: objectShape.describe("Of the copy, which cannot be changed"),
      sensitivity: z.enum(SENSITIVITIES).optional().describe("As it was, when absent"),
      trust: z.enum(TRUSTS).optional().describe("As it was, when absent"),
      reason: z.string().min(1).max(2_000),
    }),
    reply: z.strictObject({ object: objectIdShape, version, label: labelShape }),
    needs({ object, version, name }, at) {
      const found = at.tree.resolve(at.process.pid, object);
      const resource = found.name;
      const binds = contentOf(found, version);
      return [
        { right: "label.declassify", resource, shown: object, binds },
        { right: "object.read", resource, shown: object },
        { right: "object.create", resource: fullName(at.process.pid, name) },
      ];
    },
    async preview(at, args) {
      const { kept } = chosen(at, args);
      const value = await at.load(kept.value);
      const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
      const { sensitivity, trust } = lowered(args, kept.label);
      const cut = text.length > PREVIEW_CHARS_MAX ? " [cut]" : "";
      return `"${args.object}" as ${sensitivity}, ${trust}, because ${args.reason}:\n` +
        `${text.slice(0, PREVIEW_CHARS_MAX).toWellFormed()}${cut}`;
    },
    prepare: async (at, args) => await at.load(chosen(at, args).kept.value),
    run(at, args, value) {
      const { found, object, kept } = chosen(at, args);
      const from = kept.label;
      const label = lowered(args, from);
      const sources = [`${object.id}@${kept.version}`];
      const made = create(at.draft, {
        process: at.process,
        call: at.call,
        sources,
        label: null,
      }, {
        name: fullName(at.pid, args.name),
        type: object.type,
        mutable: false,
        list: false,
        value,
        label,
      });
      at.draft.add("label.declassified", {
        pid: at.pid,
        id: object.id,
        name: found.name,
        version: kept.version,
        sha256: sha256(typeof value === "string" ? value : JSON.stringify(value)),
        as: made.object,
        from,
        to: label,
        reason: args.reason,
      });
      return { ...made, label };
    },
  }),
};

/** What a version says, as a hash; null where it is not there. */
function contentOf({ object }: Found, wanted: number): Json {
  const kept = object?.versions.find(({ version }) => version === wanted);
  return kept === undefined ? null : { id: object!.id, value: hashOf(kept.value as Json) };
}

/** The version that is meant; it has to be the one that is there. */
function chosen(at: NeedContext & Pick<CallContext, "pid">, args: Args): {
  readonly found: Found;
  readonly object: ObjectRecord;
  readonly kept: Version;
} {
  const found = at.tree.resolve(at.pid, args.object);
  const object = existing(found, "declassify");
  const refused = `Cannot declassify object "${found.name}"`;
  if (object.list) throw new SysError("EINVAL", `${refused}: a list, expected a value`);
  const kept = versionAt(object, found.asOf);
  if (kept.version === args.version) return { found, object, kept };
  const sentence = `${refused}: at version ${kept.version}, expected ${args.version}`;
  throw new SysError("ESTALE", sentence, { version: kept.version });
}

/** The label that is wanted: lower in one way, higher in none. Its origin stays what it was. */
function lowered({ object, sensitivity, trust }: Args, old: Label): Label {
  const label = { ...old, ...(sensitivity && { sensitivity }), ...(trust && { trust }) };
  const less = rankOfSensitivity(old) - rankOfSensitivity(label);
  const more = rankOfTrust(label) - rankOfTrust(old);
  if (less >= 0 && more >= 0 && less + more > 0) return label;
  const is = `${old.sensitivity}, ${old.trust}`;
  const expected = "expected a label that is less secret, or more trusted";
  throw new SysError("EINVAL", `Cannot declassify object "${object}": it is ${is}, ${expected}`);
}
