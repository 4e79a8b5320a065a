/**
 * A reader: a program which reads what it was given a right to, and keeps what it found as an
 * object under `results/`, which its parent takes over.
 *
 * Invariants:
 *   R1. It reads a bounded number of files of bounded size, in order of their names.
 *   R2. What was refused is a finding like any other: it says who refused, and never what is there.
 * @module
 */

import { type Program, type Sys, SysError } from "@agent-libos/core";
import { examine, type Finding, unread } from "./audit_examine.ts";

/** What a reader is started with. */
export interface Task {
  /** The last part of its result's name. */
  readonly name: string;
  readonly folders: readonly string[];
  /** Whether it goes into the folders below, too. */
  readonly deep: boolean;
}

/** Something that could not be read. */
export interface Refusal {
  readonly path: string;
  readonly code: string;
  readonly why: string;
}

/** What a reader leaves behind. */
export interface Findings {
  readonly files: readonly Finding[];
  readonly refused: readonly Refusal[];
  /** Files that were seen and left out, since there were too many. */
  readonly leftOut: number;
}

/** Folders that nobody wants to read. */
export const SKIPPED: ReadonlySet<string> = new Set([
  ".libos",
  "libos-audit",
  ".git",
  ".hg",
  ".svn",
  "node_modules",
]);
/** How much one reader reads. */
export const READER_LIMITS = { files: 40, folders: 60, bytesMax: 131_072, linksMax: 2 } as const;

const FATAL: ReadonlySet<string> = new Set(["EREPLAY", "EFENCED", "EINTEGRITY", "ECANCELED"]);

/** The program of the image "reader". */
export const reader: Program = async ({ sys, input }) => {
  const task = input as unknown as Task;
  const found = { files: [] as Finding[], refused: [] as Refusal[], leftOut: 0 };
  const folders = [...task.folders];
  for (let at = 0; at < folders.length && at < READER_LIMITS.folders; at++) {
    const entries = await list(sys, folders[at]!, found.refused);
    for (const { name, kind } of entries) {
      const path = folders[at] === "." ? `./${name}` : `${folders[at]}/${name}`;
      if (kind === "directory") {
        if (task.deep && !SKIPPED.has(name)) folders.push(path);
      } else if (found.files.length + found.refused.length >= READER_LIMITS.files) {
        found.leftOut += 1;
      } else if (kind === "file") {
        await look(sys, path, found);
      } else {
        found.refused.push({ path, code: "EACCES", why: "no regular file" });
      }
    }
  }
  if (!(task.deep && task.folders.includes("."))) await follow(sys, task, found);
  await sys.object.create({ name: `results/${task.name}`, type: "json", value: found as never });
  const { files, refused } = found;
  await sys.process.exit({ result: `${files.length} read, ${refused.length} refused` });
};

type Found = { files: Finding[]; refused: Refusal[] };

async function list(sys: Sys, path: string, refused: Refusal[]): Promise<
  readonly { readonly name: string; readonly kind: string }[]
> {
  try {
    return (await sys.file.list({ path })).entries;
  } catch (error) {
    refused.push(refusal(path, error));
    return [];
  }
}

async function look(sys: Sys, path: string, found: Found): Promise<void> {
  try {
    const { text, bytes } = await sys.file.read({ path, bytesMax: READER_LIMITS.bytesMax });
    found.files.push(examine(path, text, bytes));
  } catch (error) {
    const kind = unreadKind(error);
    if (kind === null) found.refused.push(refusal(path, error));
    else found.files.push(unread(path, kind, (await sys.file.stat({ path })).stat?.bytes ?? 0));
  }
}

function unreadKind(error: unknown): "binary" | "large" | null {
  if (!(error instanceof SysError)) return null;
  if (error.code === "ELIMIT") return "large";
  return error.code === "EINVAL" && /not UTF-8/.test(error.message) ? "binary" : null;
}

/** Tries where links of its files lead, outside of what it was given: the door decides. */
async function follow(sys: Sys, task: Task, found: Found): Promise<void> {
  const targets = new Set(
    found.files.flatMap(({ path, links }) => links.map((link) => resolved(path, link)))
      .filter((path) => path !== null && !given(task, path)) as string[],
  );
  for (const path of [...targets].slice(0, READER_LIMITS.linksMax)) await look(sys, path, found);
}

function given({ folders, deep }: Task, path: string): boolean {
  return folders.some((folder) =>
    deep ? path.startsWith(`${folder}/`) : path.slice(0, path.lastIndexOf("/")) === folder
  );
}

/** Where a link of a file leads; null when that is outside of the workspace. */
function resolved(from: string, link: string): string | null {
  const parts = from.split("/").slice(1, -1);
  for (const part of link.replace(/[#?].*$/, "").split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return null;
  }
  return parts.length === 0 ? null : `./${parts.join("/")}`;
}

function refusal(path: string, error: unknown): Refusal {
  if (!(error instanceof SysError) || FATAL.has(error.code)) throw error;
  const rule = error.detail?.["rule"];
  if (error.code === "EPERM") return { path, code: "EPERM", why: "no capability covers it" };
  if (typeof rule === "string") return { path, code: error.code, why: `rule "${rule}"` };
  return { path, code: error.code, why: error.message.replace(/^[^:]*: /, "").slice(0, 160) };
}
