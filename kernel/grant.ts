/**
 * Grants: what an approval gives, to whom, for how long.
 *
 * Invariants:
 *   H2. An approval "once" is bound to the hash of the exact arguments that were shown, and to one
 *       use.
 *   H4. A grant is derived from the capability that covered the call, or stays under the ceiling.
 *   H6. What is wider than once ends by itself; only a rule of the policy may not.
 * @module
 */

import { type Capability, ceilingAllows, WITHIN } from "./capability.ts";
import type { Draft } from "./draft.ts";
import { SysError } from "./errors.ts";
import { matchResource, within } from "./grammar.ts";
import type { CapId, Pid } from "./ids.ts";
import { LIMITS } from "./limits.ts";
import type { RequestRecord } from "./state.ts";
import type { PersonAnswer, Scope } from "./world.ts";

type Approval = PersonAnswer & { readonly outcome: "approve" };
/** Who asks, where, and under which capability of its own. */
export type Asker = RequestRecord["askers"][number];

/** How long what a scope gives holds where nobody said; null for good. */
export function lasting(scope: Scope): number | null {
  return scope === "policy" ? null : GRANT_MS[scope];
}

/** How long a grant holds where nobody said. */
export const GRANT_MS: { readonly [S in Exclude<Scope, "policy">]: number } = {
  once: LIMITS.grantExpiryMsDefault,
  process: LIMITS.grantExpiryMsDefault,
  subtree: LIMITS.grantExpiryMsDefault,
  tree: LIMITS.grantExpiryMsDefault,
  image: LIMITS.grantExpiryMsImage,
};

/** The grants of an approval of any scope but "policy". */
export function grantsFor(draft: Draft, request: RequestRecord, said: Approval): Capability[] {
  const call = request.call!;
  const scope = said.scope ?? "once";
  if (scope === "policy") return [];
  const resource = scope === "once" ? call.resource : said.resource ?? call.resource;
  const live = liveAskers(draft, request);
  const given = {
    right: call.right,
    resource,
    usesMax: scope === "once" ? 1 : said.uses ?? null,
    expiresMs: draft.nowMs + (said.forMs ?? GRANT_MS[scope]),
    scope: scope === "once" || scope === "process" ? "process" : "subtree",
    // A right that was asked for before any call has no arguments it could be bound to.
    argsHash: scope === "once" && call.under !== null ? call.argsHash : null,
  } as const;
  return holdersOf(draft, live, scope, given).map(({ pid, under, image }) =>
    born(draft, request, { ...given, pid, under, ...(image === undefined ? {} : { image }) })
  );
}

interface Holder {
  readonly pid: Pid;
  readonly under: CapId | null;
  /** Only processes of this image may use it. */
  readonly image?: string;
}

/**
 * Who gets the grant: each asker, or the root for all of the tree or all of an image. Askers that
 * stand apart see nothing of the root's, and are given it themselves.
 */
function holdersOf(
  draft: Draft,
  live: readonly Asker[],
  scope: Exclude<Scope, "policy">,
  pattern: { readonly right: string; readonly resource: string },
): Holder[] {
  const { tree } = draft;
  const askers = [...new Map(live.map((asker) => [asker.pid, asker])).values()];
  if (scope !== "tree" && scope !== "image") return askers;
  const [first] = live as [Asker];
  const holder = {
    pid: tree.lineage(first.pid).at(-1)!,
    under: anchorOf(draft, first.under, pattern),
  };
  const apart = askers.filter(({ pid }) => !tree.reach(pid).includes(holder.pid));
  if (scope === "tree") return [holder, ...apart];
  const imageOf = ({ pid }: Asker) => tree.state.processes[pid]!.image;
  return [
    ...[...new Set(askers.map(imageOf))].map((image) => ({ ...holder, image })),
    ...apart.map((asker) => ({ ...asker, image: imageOf(asker) })),
  ];
}

/**
 * The capability under which what is to outlive its asker hangs: the highest above the asker's that
 * leaves nothing out which one between them says.
 */
function anchorOf(
  draft: Draft,
  under: CapId | null,
  pattern: { readonly right: string; readonly resource: string },
): CapId | null {
  let at = under === null ? undefined : draft.tree.cap(under);
  while (at !== undefined && at.parent !== null) {
    const isPlain = at.constraint === null && at.usesMax === null && at.expiresMs === null &&
      at.bytesMax === null && at.image === undefined && within(pattern, at);
    const parent = draft.tree.cap(at.parent);
    if (!isPlain || parent === undefined) break;
    at = parent;
  }
  return at?.id ?? null;
}

/** Askers whose own capability stands still: what was revoked meanwhile gives none. */
export function liveAskers(draft: Draft, request: RequestRecord): readonly Asker[] {
  const { caps } = draft.tree.state;
  const live = request.askers.filter(({ under }) => under === null || Object.hasOwn(caps, under));
  if (live.length > 0) return live;
  const revoked = "what would cover it was revoked, expected it to be granted anew";
  throw new SysError("ESTALE", `Cannot approve request "${request.id}": ${revoked}`);
}

/** A capability that an answer gave. */
export function born(
  draft: Draft,
  request: RequestRecord,
  given: Holder & Pick<Capability, "right" | "resource" | "usesMax" | "expiresMs" | "scope"> & {
    readonly argsHash: string | null;
  },
): Capability {
  const { pid, under, image, argsHash, ...rest } = given;
  return {
    ...rest,
    id: draft.id("cap"),
    subject: pid,
    parent: under,
    depth: under === null ? 0 : draft.tree.state.caps[under]!.depth + 1,
    constraint: null,
    bytesMax: null,
    delegable: false,
    depthMax: 0,
    ...(image === undefined ? {} : { image }),
    grant: { request: request.id, argsHash, call: request.call!.name },
    via: "approval",
    by: "",
    atMs: draft.nowMs,
  };
}

/** Refuses a scope, a pattern or an end that this request may not be approved with. */
export function checkScope(draft: Draft, request: RequestRecord, said: Approval): void {
  const call = request.call!;
  const scope = said.scope ?? "once";
  const resource = scope === "once" ? call.resource : said.resource ?? call.resource;
  const refused = `Cannot approve request "${request.id}"`;
  if (!matchResource(resource, call.resource)) {
    const sentence = `${refused} for "${resource}": it does not match "${call.resource}"`;
    throw new SysError("EINVAL", sentence);
  }
  if (!ceilingAllows(draft.tree.state.ceiling, { right: call.right, resource })) {
    const sentence =
      `${refused} for "${call.right}(${resource})": over the tree's ceiling, ${WITHIN}`;
    throw new SysError("EPERM", sentence);
  }
  if (request.risk === "destructive" && scope !== "once") {
    throw new SysError("EACCES", `${refused}: destructive, expected scope "once"`);
  }
  if (request.rule?.sink === true && scope !== "once") {
    throw new SysError("EACCES", `${refused}: a release to a sink, expected scope "once"`);
  }
  if (request.kind === "review" && (scope === "image" || scope === "policy")) {
    throw new SysError("EINVAL", `${refused}: a review, expected a scope of who was shown it`);
  }
  const { forMs, uses } = said;
  if (forMs !== undefined && !(forMs > 0 && forMs <= LIMITS.grantExpiryMsMax)) {
    const expected = `expected 1 to ${LIMITS.grantExpiryMsMax} ms`;
    throw new SysError("EINVAL", `${refused} for ${forMs} ms: ${expected}`);
  }
  if (uses !== undefined && !(Number.isSafeInteger(uses) && uses > 0)) {
    throw new SysError("EINVAL", `${refused} for ${uses} uses: expected a whole number from 1`);
  }
  if (uses !== undefined && scope === "policy") {
    throw new SysError("EINVAL", `${refused} for ${uses} uses: a rule counts none`);
  }
}
