/**
 * `doctor`: whether all that agents need is there and sound.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Store } from "../kernel/store.ts";
import { StoreLock } from "../providers/store_lock.ts";
import { verifyTree } from "../runtime/load.ts";
import { cageFindings, type Finding } from "./doctor_cages.ts";
import { programFinding } from "./doctor_programs.ts";
import type { Command, Context } from "./command.ts";
import { CREDENTIAL_OPTIONS, credentialFindings, netFinding } from "./credential_place.ts";
import { doctorThere } from "./evidence_there.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import { isFile } from "./files.ts";
import { hookFindings } from "./hooks.ts";
import { mcpFindings } from "./mcp_lock_file.ts";
import { list } from "./output.ts";
import {
  dbPath,
  headsOf,
  isDatabase,
  reading,
  replicaFor,
  storeName,
  storeOf,
  TREE_CONTEXT,
  workspaceOf,
} from "./store.ts";

/** `doctor`. */
export const doctor: Command = {
  name: "doctor",
  group: "start",
  usage: "[--store] [--read-db URL]",
  about: "Check Deno, permissions, cages, walls, net, credentials, and the store and its chains",
  examples: ["libos doctor", "libos doctor -o json"],
  options: {
    ...CREDENTIAL_OPTIONS,
    store: { type: "boolean" },
    "read-db": { type: "string" },
  },
  words: [0, 0],
  remote: doctorThere,
  async run(at) {
    const stored = await storeFindings(at);
    const findings = at.flags.on("store")
      ? stored.findings
      : [...await findingsOf(at), ...stored.findings, ...await hookFindings(at)];
    list(at, findings, {
      columns: [
        { head: "WHAT", of: ({ what }) => what },
        { head: "STATE", of: ({ state }) => state },
        { head: "DETAIL", of: ({ detail }) => detail },
      ],
      name: ({ what }) => what,
      none: "Nothing was looked at",
    });
    if (stored.exit !== EXIT.ok) return stored.exit;
    return findings.some(({ state }) => state === "bad") ? EXIT.error : EXIT.ok;
  },
};

/** What is found of all but the store. */
export async function findingsOf(at: Context): Promise<Finding[]> {
  return [
    denoFinding(),
    await permissionFinding(),
    await workspaceFinding(at),
    terminalFinding(at),
    ...await cageFindings(),
    ...await mcpFindings(at),
    programFinding(),
    await netFinding(at),
    ...credentialFindings(at),
  ];
}

function denoFinding(): Finding {
  const { deno } = Deno.version;
  const [major = 0, minor = 0] = deno.split(".").map(Number);
  const isEnough = major > 2 || (major === 2 && minor >= 5);
  const { os, arch } = Deno.build;
  const detail = `${deno} on ${os} ${arch}${isEnough ? "" : ", expected 2.5 or later"}`;
  return { what: "deno", state: isEnough ? "ok" : "bad", detail };
}

async function permissionFinding(): Promise<Finding> {
  const names = ["read", "write", "env", "net", "run", "sys", "ffi"] as const;
  const states = await Promise.all(
    names.map(async (name) => `${name} ${(await Deno.permissions.query({ name })).state}`),
  );
  const needed = await Promise.all(
    (["read", "write"] as const).map((name) => Deno.permissions.query({ name })),
  );
  const isEnough = needed.every(({ state }) => state === "granted");
  return { what: "permissions", state: isEnough ? "ok" : "note", detail: states.join(", ") };
}

async function workspaceFinding(at: Context): Promise<Finding> {
  const folder = workspaceOf(at);
  try {
    const { isDirectory } = await Deno.stat(folder);
    const detail = isDirectory ? folder : `${folder}: no folder`;
    return { what: "workspace", state: isDirectory ? "ok" : "bad", detail };
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return { what: "workspace", state: "bad", detail: `${folder}: ${why}` };
  }
}

function terminalFinding(at: Context): Finding {
  const isThere = at.io.isInteractive;
  const detail = isThere
    ? "requests can be answered here"
    : "none: requests wait for libos approve, deny and answer";
  return { what: "terminal", state: isThere ? "ok" : "note", detail };
}

async function storeFindings(
  at: Context,
): Promise<{ readonly findings: readonly Finding[]; readonly exit: ExitCode }> {
  const { readUrl } = replicaFor(at);
  if (isDatabase(at)) return await databaseFindings(at, readUrl);
  const path = dbPath(at);
  if (!await isFile(at, path)) {
    const detail = `${path}: none yet, libos run makes it`;
    return { findings: [{ what: "store", state: "note", detail }], exit: EXIT.ok };
  }
  const findings: Finding[] = [lockFinding(path), ...await soundness(at, path)];
  const isBroken = findings.some(({ state }) => state === "bad");
  return { findings, exit: isBroken ? EXIT.integrity : EXIT.ok };
}

/** Whether what the store holds is whole. */
async function soundness(at: Context, name: string): Promise<Finding[]> {
  try {
    return await reading(at, async (store) => {
      const damage = await store.check();
      const detail = damage.length === 0 ? name : damage.join("; ");
      const state = damage.length === 0 ? "ok" : "bad";
      return [{ what: "store", state, detail }, await chainFinding(store)];
    });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return [{ what: "store", state: "bad", detail: error.message }];
  }
}

async function databaseFindings(
  at: Context,
  readUrl: string | undefined,
): Promise<{ readonly findings: readonly Finding[]; readonly exit: ExitCode }> {
  // Who does not use a database does not load its library.
  const { examineDatabase } = await import("../providers/postgres_doctor.ts");
  const { findings, layout } = await examineDatabase(storeOf(at), readUrl);
  const isReached = findings.length > 1;
  const isOurs = layout > 0 &&
    findings.every(({ what, state }) =>
      state !== "bad" || (what !== "layout" && what !== "database" && what !== "role")
    );
  const content = isOurs ? await soundness(at, storeName(at)) : [];
  const isBroken = content.some(({ state }) => state === "bad");
  const isBad = !isReached || findings.some(({ state }) => state === "bad");
  const exit = isBroken ? EXIT.integrity : isBad ? EXIT.error : EXIT.ok;
  return { findings: [...findings, ...content], exit };
}

async function chainFinding(store: Store): Promise<Finding> {
  const heads = await headsOf(store, true);
  const broken: string[] = [];
  let [lines, erased] = [0, 0];
  for (const { tree } of heads) {
    const found = await verifyTree(store, tree, TREE_CONTEXT);
    lines += found.lines;
    erased += found.erased;
    if (found.broken !== null) broken.push(found.broken);
  }
  const detail = broken.length === 0
    ? `${heads.length} trees, ${lines} lines, unbroken` +
      (erased === 0 ? "" : `, ${erased} payloads erased as they say`)
    : broken.join("; ");
  return { what: "chain", state: broken.length === 0 ? "ok" : "bad", detail };
}

function lockFinding(path: string): Finding {
  try {
    StoreLock.take(path).release();
    return { what: "lock", state: "ok", detail: "free: no kernel runs on this store" };
  } catch (error) {
    if (!(error instanceof SysError)) {
      const why = error instanceof Error ? error.message : String(error);
      return { what: "lock", state: "note", detail: `none can be taken: ${why}; it can be read` };
    }
    const isHeld = error.code === "EFENCED";
    return { what: "lock", state: isHeld ? "ok" : "bad", detail: error.message };
  }
}
