/**
 * Skills: folders with a `SKILL.md`, which tell an agent how to do something.
 *
 * Pure: text in, a skill or a refusal out.
 *
 * Invariants:
 *   K1. A skill grants nothing: what its front matter says is allowed is a claim, and is shown.
 *   K2. A name is small letters, digits and single hyphens, and that of its folder: no name is a
 *       path, hides its letters, or looks like another.
 *   K3. Front matter is lines `name: words`, and one level of words below `metadata`: what could
 *       grow when it is read (anchors, aliases, tags, nested collections) is refused.
 * @module
 */

import { SysError } from "./errors.ts";
import { LIMITS } from "./limits.ts";
import { parseJson } from "./parse.ts";

/** What a skill says of itself. */
export interface SkillFacts {
  readonly name: string;
  /** What it is for, and when to use it. */
  readonly description: string;
  readonly license?: string;
  /** What it wants to be there. */
  readonly compatibility?: string;
  /** Tools it says it uses: a claim, which grants nothing. */
  readonly allowedTools?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A skill as it was read. */
export interface Skill extends SkillFacts {
  /** What it tells an agent, in Markdown. */
  readonly instructions: string;
}

/** Folders with skills. Paths are names with "/" between; no link is followed. */
export interface Skills {
  /** Names of folders that have a `SKILL.md`, in a fixed order; all else is left out. */
  names(): Promise<readonly string[]>;
  /** Paths of the files of a skill, bounded. */
  paths(skill: string): Promise<readonly string[]>;
  /** The content of a file. Errors: those of files. */
  read(skill: string, path: string, bytesMax: number): Promise<Uint8Array>;
}

const FIELDS: Readonly<Record<string, number>> = {
  name: 64,
  description: 1_024,
  license: 512,
  compatibility: 500,
  "allowed-tools": 1_024,
};

/** Whether a text may be the name of a skill, and so of a folder (K2). */
export function isSkillName(name: string): boolean {
  return name.length <= 64 && /^[a-z0-9]+(-[a-z0-9]+)*$/.test(name);
}

/** Reads a `SKILL.md`; throws `EINVAL` for what is none. */
export function parseSkill(folder: string, text: string): Skill {
  const refuse = (found: string, expected: string): never => {
    throw new SysError("EINVAL", `Cannot use skill "${folder}": ${found}, expected ${expected}`);
  };
  const lines = text.replace(/^\ufeff/, "").split(/\r\n|\n|\r/);
  const end = lines.indexOf("---", 1);
  if (lines[0] !== "---" || end < 0 || end > LIMITS.skillHeadLinesMax) {
    return refuse("no front matter", 'one between two lines "---" at its beginning');
  }
  const { fields, metadata } = headOf(lines.slice(1, end), refuse);
  const { name = "", description = "" } = fields;
  if (!isSkillName(name)) refuse("its name is none", "small letters, digits and single hyphens");
  if (name !== folder) refuse(`it is named "${name}"`, "the name of its folder");
  if (description === "") refuse("no description", "what it is for");
  const { license, compatibility, "allowed-tools": allowedTools } = fields;
  return {
    name,
    description,
    ...(license === undefined ? {} : { license }),
    ...(compatibility === undefined ? {} : { compatibility }),
    ...(allowedTools === undefined ? {} : { allowedTools }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
    instructions: lines.slice(end + 1).join("\n").trim(),
  };
}

type Refuse = (found: string, expected: string) => never;
type Words = Record<string, string>;

function headOf(
  lines: readonly string[],
  refuse: Refuse,
): { readonly fields: Words; readonly metadata: Words } {
  const fields: Words = Object.create(null);
  const metadata: Words = Object.create(null);
  let isBelow = false;
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    if (/^\s*(#.*)?$/.test(line)) continue;
    const [, indent = "", key = "", rest = ""] = /^( *)([\w-]{1,64}):(?: +(.*))?$/.exec(line) ?? [];
    if (key === "") refuse(`line ${at + 2} is no field`, '"name: words"');
    if (indent !== "") {
      if (!isBelow) refuse(`line ${at + 2} is nested`, "words");
      put(metadata, key, { words: scalar(rest, refuse), most: 1_024 }, refuse);
      continue;
    }
    isBelow = key === "metadata";
    if (isBelow) {
      if (rest.trim() !== "") refuse("its metadata are none", "fields below it");
      continue;
    }
    let words: string;
    if (/^[>|][+-]?\s*$/.test(rest)) {
      const block = blockAt(lines, at + 1);
      words = rest.startsWith(">") ? block.join(" ").trim() : block.join("\n").trim();
      at += block.length;
    } else words = scalar(rest, refuse);
    put(fields, key, { words, most: FIELDS[key] ?? 1_024 }, refuse);
  }
  return { fields, metadata: { ...metadata } };
}

function put(
  to: Words,
  key: string,
  { words, most }: { readonly words: string; readonly most: number },
  refuse: Refuse,
): void {
  if (key in to) refuse(`"${key}" is there twice`, "it once");
  if (Object.keys(to).length >= LIMITS.skillFieldsMax) refuse("too many fields", "fewer");
  if (words.length > most) refuse(`"${key}" has ${words.length} characters`, `${most} at most`);
  if (/[\p{Cc}\p{Cf}]/u.test(words.replaceAll("\n", ""))) {
    refuse(`"${key}" has characters that nobody sees`, "words");
  }
  to[key] = words;
}

/** By hand: an expression would try each of many spaces on to the last. */
function withoutComment(words: string): string {
  let end = words.indexOf(" #");
  if (end < 0) return words;
  while (words[end - 1] === " ") end -= 1;
  return words.slice(0, end);
}

/** Indented lines that follow. */
function blockAt(lines: readonly string[], from: number): string[] {
  const block: string[] = [];
  for (let at = from; at < lines.length && /^(\s+\S|\s*$)/.test(lines[at]!); at++) {
    block.push(lines[at]!.trim());
  }
  return block;
}

/** Words, in quotes or without (K3). */
function scalar(text: string, refuse: Refuse): string {
  const words = text.trim();
  if (/^'([^']|'')*'$/.test(words)) return words.slice(1, -1).replaceAll("''", "'");
  if (/^"([^"\\]|\\.)*"$/.test(words)) {
    try {
      return parseJson(words) as string;
    } catch {
      return refuse("a text in quotes is none", "JSON's escapes");
    }
  }
  if (/^[&*!{[>|@`%"']/.test(words)) {
    refuse(`it begins a value with ${JSON.stringify(words[0])}`, "words, in quotes if need be");
  }
  return withoutComment(words);
}
