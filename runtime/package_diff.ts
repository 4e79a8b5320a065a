/**
 * What differs between two packages, in the order in which a person has to look at it: what the
 * agents will ask for and what tools may use first, then what they are told, then the rest.
 * @module
 */

import { diffText } from "../kernel/diff.ts";
import { canonical } from "../kernel/json.ts";
import type { Package, PackageBody } from "./package.ts";
import { contentOf, type PackageFile, skillsIn } from "./package_files.ts";

/** One thing that differs. */
export interface PackageChange {
  /** `need`, `tool`, `skill claim`, `model`, … */
  readonly what: string;
  /** Which one: a right, a name, a path; empty where there is only one. */
  readonly name: string;
  /** "+": only in the second, "-": only in the first, "~": in both, and different. */
  readonly mark: "+" | "-" | "~";
  /** What differs, as lines; empty where it is there or not. */
  readonly detail: string;
}

/** Whether they are the same is a matter of their hashes; this says how they are not. */
export function packageChanges({ body: a }: Package, { body: b }: Package): PackageChange[] {
  return [
    ...setChanges("need", a.needs, b.needs),
    ...mapChanges(
      "tool may use",
      ...both(
        a,
        b,
        ({ tools }) => tools.map(({ name, rights }) => [name, [...rights].sort().join("\n")]),
      ),
    ),
    ...mapChanges("skill says it uses", ...both(a, b, claims)),
    ...valueChange("built-in tools", a.libc?.join("\n") ?? "all", b.libc?.join("\n") ?? "all"),
    ...valueChange("budget", canonical(a.budget), canonical(b.budget)),
    ...valueChange("steps", String(a.maxSteps), String(b.maxSteps)),
    ...valueChange("on budget", a.onBudget ?? "-", b.onBudget ?? "-"),
    ...valueChange("model", a.model ?? "-", b.model ?? "-"),
    ...valueChange("instructions", a.instructions, b.instructions),
    ...mapChanges(
      "tool",
      ...both(a, b, ({ tools }) =>
        tools.map((
          { rights: _, source, ...rest },
        ) => [rest.name, `${source}\n${canonical(rest)}`])),
    ),
    ...mapChanges(
      "file",
      ...both(a, b, ({ files }) => files.map((file) => [file.path, shown(file)])),
    ),
    ...mapChanges(
      "type",
      ...both(
        a,
        b,
        ({ types }) => Object.entries(types).map(([name, schema]) => [name, canonical(schema)]),
      ),
    ),
    ...valueChange("name", a.name, b.name),
    ...valueChange("version", a.version, b.version),
  ];
}

type Entries = readonly (readonly [name: string, text: string])[];

function both(
  a: PackageBody,
  b: PackageBody,
  of: (body: PackageBody) => Entries | readonly string[][],
): [Entries, Entries] {
  return [of(a) as Entries, of(b) as Entries];
}

/** What skills say they use: claims, which open nothing, and which people should see. */
function claims({ files }: PackageBody): Entries {
  return skillsIn(files).flatMap(({ name, allowedTools }) =>
    allowedTools === undefined ? [] : [[name, allowedTools] as const]
  );
}

function shown(file: PackageFile): string {
  return file.text ?? `${contentOf(file).length} bytes, base64 ${file.base64}`;
}

/** Names that came and went. */
export function setChanges(
  what: string,
  a: readonly string[],
  b: readonly string[],
): PackageChange[] {
  return [
    ...b.filter((name) => !a.includes(name)).map((name) => change(what, name, "+")),
    ...a.filter((name) => !b.includes(name)).map((name) => change(what, name, "-")),
  ];
}

/** Named texts that came, went or are others. */
export function mapChanges(what: string, a: Entries, b: Entries): PackageChange[] {
  const [old, now] = [new Map(a), new Map(b)];
  return [...new Set([...old.keys(), ...now.keys()])].sort().flatMap((name) => {
    const [before, after] = [old.get(name), now.get(name)];
    if (before === after) return [];
    if (before === undefined) return [change(what, name, "+", after)];
    if (after === undefined) return [change(what, name, "-")];
    return [change(what, name, "~", diffText(before, after))];
  });
}

/** What there is only one of. */
export function valueChange(what: string, before: string, after: string): PackageChange[] {
  return before === after ? [] : [change(what, "", "~", diffText(before, after))];
}

function change(
  what: string,
  name: string,
  mark: PackageChange["mark"],
  detail = "",
): PackageChange {
  return { what, name, mark, detail };
}
