/**
 * Programs: a Deno script runs as a child whose permission checks are judged as calls of its
 * process.
 * @module
 */

import { z } from "zod";
import { SysError } from "../../kernel/errors.ts";
import type { RequestId } from "../../kernel/ids.ts";
import { joinLabels } from "../../kernel/label.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { FILE_LABEL } from "../../kernel/mark.ts";
import { matchRight } from "../../kernel/grammar.ts";
import { CONNECT, connectPlace, type NetTarget, netTarget } from "../../kernel/net.ts";
import { addressKind, isV6 } from "../../kernel/net_address.ts";
import { resolvePath, toProviderPath } from "../../kernel/path.ts";
import { type Check, type HostLine, needsOfCheck, PERMISSIONS } from "../../kernel/program.ts";
import { type Area, isSeen, type Reach, reachOf } from "../../kernel/reach.ts";
import { askedHash } from "../authorize.ts";
import { nothing, pathShape } from "../shapes.ts";
import { type CallContext, syscall } from "../syscall.ts";
import { decodeText, fileLabel, filesOf, need, ownedHere } from "./file.ts";

const words = z.array(z.string().max(LIMITS.programWordCharsMax)).max(LIMITS.programWordsMax);

/** What came of the checks of a program. */
interface Tally {
  allowed: number;
  denied: number;
  readonly pending: Set<RequestId>;
}

/** Calls on programs. */
export const programCalls = {
  "program.run": syscall({
    about:
      "Run a Deno script of the workspace; what it wants from Deno is judged as your own calls",
    effect: "emit",
    risk: "high",
    args: z.strictObject({
      path: pathShape,
      args: words.default([]),
      stdin: z.string().max(LIMITS.programStdinCharsMax).default(""),
      env: z.record(z.string(), z.string().max(LIMITS.programWordCharsMax)).default({}),
      timeMs: z.number().int().min(100).max(LIMITS.programMsMax).default(LIMITS.programMsDefault),
    }),
    reply: z.strictObject({
      code: z.number(),
      exceeded: z.string().nullable(),
      stdout: z.string(),
      stderr: z.string(),
      bytesCut: z.number(),
      allowed: z.number(),
      denied: z.number(),
      pending: z.array(z.string()).describe("Requests to people; run it again once answered"),
    }),
    needs: ({ path }, at) => [need("program.run", at, path), need("file.read", at, path)],
    async preview(at, args) {
      if (at.world.files === null) return "";
      const path = resolvePath(at.cwd, args.path);
      const bytes = await filesOf(at).read(toProviderPath(path), {
        bytesMax: LIMITS.fileBytesMax,
      });
      return decodeText(path, bytes).slice(0, LIMITS.programPreviewCharsMax);
    },
    async run(at, args) {
      const { programs } = at.world;
      if (programs === undefined) {
        const expected = "expected one with a workspace, made with `programs: true`";
        throw new SysError("ENOSYS", `Cannot run a program: not in this runtime, ${expected}`);
      }
      const path = resolvePath(at.cwd, args.path);
      at.program();
      const tally: Tally = { allowed: 0, denied: 0, pending: new Set() };
      // What it imports nobody hears of, so it carries from the start all that it could have read.
      await checked(at, { program: path, permission: "import", value: path });
      const reach = await reachFor(at, path, args.timeMs);
      at.taint(joinLabels(FILE_LABEL, reach.label));
      const hosts = reach.net ? await hostsFor(at) : [];
      const end = await programs.run({ ...args, path, cwd: at.cwd, reach, hosts }, {
        signal: at.signal,
        judge: (check) => judge(at, { program: path, ...check }, tally),
        onText: (chunk) => at.stream(chunk),
      });
      const { allowed, denied, pending } = tally;
      return { ...end, allowed, denied, pending: [...pending] };
    },
    // It may have done anything that its process may.
    lost: () => Promise.resolve({ state: "unknown" }),
  }),
  "program.check": syscall({
    about: "Ask for what a running program wants from Deno",
    effect: "observe",
    port: "closed",
    asks: "ahead",
    args: z.strictObject({
      program: pathShape,
      permission: z.enum(PERMISSIONS),
      value: z.string().max(LIMITS.pathBytesMax).nullable(),
    }),
    reply: nothing,
    needs: (check) => {
      if (isStart(check)) return [];
      const needs = needsOfCheck(check);
      if (typeof needs === "string") {
        throw new SysError("EACCES", `Cannot let "${check.program}" go on: ${needs}`);
      }
      // Nobody counts what it moves, so a capability for so many bytes does not cover it.
      return needs.map((each) => ({ ...each, bytes: Number.MAX_SAFE_INTEGER }));
    },
    run(at, check) {
      const { permission, value } = check;
      if (isStart(check)) {
        const { tree, pid, nowMs } = at;
        const query = { pid, nowMs, untilMs: nowMs, owned: ownedHere(at) };
        at.taint(reachOf(tree, { ...query, judgesChanges: true }).label);
      }
      if (permission === "read" && value !== null) {
        at.taint(fileLabel(at, value));
      }
      return {};
    },
  }),
};

/**
 * The names that capabilities write out for connections, each with the addresses that it leads to
 * now. A name of which one is private is left out, unless the process may connect there itself.
 */
async function hostsFor(at: CallContext): Promise<HostLine[]> {
  const { tree, pid, world: { net } } = at;
  const places = [...tree.caps.heldBy(tree.reach(pid))].flatMap(({ right, resource }) =>
    matchRight(right, CONNECT) && connectPlace(resource) === resource ? [resource] : []
  );
  const found: HostLine[] = [];
  for (const place of [...new Set(places)].slice(0, LIMITS.programHostsMax)) {
    const target = targetAt(place);
    if (net == null || target === null || target.address !== null) continue;
    const addresses = await net.resolve(target, at.signal).catch(() => []);
    const isOpen = (address: string) =>
      target.isPrivate || addressKind(address) === null ||
      at.may({ right: CONNECT, resource: placeAt(address, target.port) });
    if (addresses.every(isOpen)) {
      found.push(...addresses.map((address): HostLine => [target.host, address]));
    }
  }
  return found;
}

/** A place as a target of requests, whose name can be resolved; null where nobody is reached. */
function targetAt(place: string): NetTarget | null {
  try {
    return netTarget("GET", `http://${place}/`);
  } catch (error) {
    if (error instanceof SysError) return null;
    throw error;
  }
}

function placeAt(address: string, port: number): string {
  return `${isV6(address) ? `[${address}]` : address}:${port}`;
}

type ProgramCheck = Check & { readonly program: string };

/** Whether it is the first of a run: the program itself, with all that it imports. */
function isStart({ program, permission, value }: ProgramCheck): boolean {
  return permission === "import" && value === program;
}

/** Judges one check as a call of the process: null lets the program go on. */
async function judge(at: CallContext, check: ProgramCheck, tally: Tally): Promise<string | null> {
  // Its environment is what the call gave it.
  if (check.permission === "env") return null;
  try {
    await checked(at, check);
    tally.allowed += 1;
    return null;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    tally.denied += 1;
    const request = error.code === "EAGAIN" ? error.detail?.request : undefined;
    if (typeof request === "string") tally.pending.add(request as RequestId);
    return error.message;
  }
}

/** Makes one check; a process that waits or has ended makes none. */
async function checked(at: CallContext, check: ProgramCheck): Promise<void> {
  const over = at.over.then(() => {
    throw new SysError("ECANCELED", "Cannot go on: the process of this program waits or has ended");
  });
  await Promise.race([at.sys("program.check", check), over]);
}

/**
 * What a program may see: its process's reach, where each change is still judged by itself, and the
 * files that a person let just this program read.
 */
async function reachFor(at: CallContext, program: string, timeMs: number): Promise<Reach> {
  const { tree, pid, nowMs } = at;
  const query = { pid, nowMs, untilMs: nowMs + timeMs, owned: ownedHere(at) };
  const reach = reachOf(tree, { ...query, judgesChanges: true });
  const shown: Area[] = [];
  // The call itself needed the right to read it.
  if (!isSeen(reach, program)) {
    shown.push({ path: program, kind: "file", writes: false, holes: [], unseen: [] });
  }
  for (const { right, resource, grant } of [...tree.caps.heldBy(tree.reach(pid))]) {
    if (right !== "file.read" || resource.includes("*") || grant?.argsHash == null) continue;
    const check = { program, permission: "read", value: resource } as const;
    if (grant.argsHash !== askedHash({ name: "program.check", args: check }, undefined)) continue;
    // Used up here: what it imports of it, nobody is asked about.
    const refused = await judge(at, check, { allowed: 0, denied: 0, pending: new Set() });
    if (refused === null) {
      shown.push({ path: resource, kind: "file", writes: false, holes: [], unseen: [] });
    }
  }
  return { ...reach, areas: [...reach.areas, ...shown] };
}
