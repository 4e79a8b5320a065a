/**
 * Versions of an object: what was written when, its content where somebody asks for it, which the
 * log says, and what differs between two of them.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { diffLines } from "../../kernel/diff.ts";
import type { ObjectView } from "../schema/memory.ts";
import { get, type Who } from "./api.ts";
import { CodeDiff } from "./code.tsx";
import { Content, textOf } from "./content.tsx";
import { Choice, may, Only, Said, useAct } from "./forms.tsx";
import { Table } from "./lists.tsx";
import { useRead } from "./live.ts";
import { withQuery } from "./paged.ts";
import { Age, Problem } from "./parts.tsx";
import { visible } from "./words.ts";

interface VersionView {
  readonly version: number;
  readonly seq: number;
  readonly at: string;
  readonly from: ObjectView["from"];
  readonly revealed: boolean;
  readonly erased: boolean;
  readonly value?: unknown;
}

/** A version that somebody was shown; null when its content is erased. */
type Shown = ReadonlyMap<number, { readonly value: unknown } | null>;

/** The versions of an object. */
export function Versions({ object, who }: {
  readonly object: ObjectView;
  readonly who: Who;
}): JSX.Element {
  const path = `/v1/objects/${object.id}/versions`;
  const { data, error } = useRead<{ readonly items: readonly VersionView[] }>(
    path,
    ({ kind, summary }) => kind === "object.version" && summary["id"] === object.id,
  );
  const act = useAct();
  const [shown, setShown] = useState<Shown>(new Map());
  const reveal = (version: number): void =>
    act.run(async () => {
      const found = await get<VersionView>(`${path}/${version}?reveal=true&media=facts`);
      const content = found.erased ? null : { value: found.value };
      setShown((now) => new Map(now).set(version, content));
      return `You were shown version ${version}; the log of ${object.tree} says so.`;
    });
  const items = [...data?.items ?? []].reverse();
  return (
    <section aria-labelledby="versions">
      <h2 id="versions">{object.list ? "Items" : "Versions"}</h2>
      {error !== undefined && <Problem error={error} />}
      <p class="dim">
        Content stays closed until you ask for it: the log of {object.tree} will say that{" "}
        {visible(who.name)} looked.
      </p>
      <Only who={who} role="operator" what="Looking at content">{null}</Only>
      <Said act={act} />
      <Table label="Versions" heads={["Version", "Line", "Written by", "When", "Content"]}>
        {items.map((one) => (
          <tr key={one.version}>
            <td>{one.version}</td>
            <td>
              <a href={withQuery("/view/audit", { tree: object.tree, line: one.seq })}>{one.seq}</a>
            </td>
            <td class="id">{visible(one.from.call)}</td>
            <td>
              <Age at={one.at} /> ago
            </td>
            <td>
              {!shown.has(one.version) && may(who, "operator") && (
                <button
                  type="button"
                  aria-label={`Reveal version ${one.version}`}
                  aria-disabled={act.isBusy}
                  onClick={() => reveal(one.version)}
                >
                  Reveal
                </button>
              )}
              {shown.has(one.version) && "shown below"}
            </td>
          </tr>
        ))}
      </Table>
      {shown.size > 1 && <Differences shown={shown} />}
      {[...shown].sort(([a], [b]) => b - a).map(([version, content]) => (
        <section key={version} aria-label={`Version ${version}`}>
          <h2>Version {version}</h2>
          {content === null
            ? <p>Its content was erased: nobody can read it any more.</p>
            : <Content object={object} version={version} value={content.value} />}
        </section>
      ))}
    </section>
  );
}

/** What differs between two versions that were shown. */
function Differences({ shown }: { readonly shown: Shown }): JSX.Element {
  const versions = [...shown.keys()].sort((a, b) => a - b);
  const [one, setOne] = useState("");
  const [two, setTwo] = useState("");
  const before = one === "" ? versions.at(-2)! : Number(one);
  const after = two === "" ? versions.at(-1)! : Number(two);
  const options = versions.map((version) => [String(version), `version ${version}`] as const);
  const lines = diffLines(
    textOf(shown.get(before)?.value ?? ""),
    textOf(shown.get(after)?.value ?? ""),
  );
  return (
    <section aria-labelledby="differences">
      <h2 id="differences">What differs</h2>
      <div class="filters">
        <Choice name="From" value={String(before)} set={setOne} options={options} />
        <Choice name="To" value={String(after)} set={setTwo} options={options} />
      </div>
      <CodeDiff lines={lines} label={`From version ${before} to ${after}`} />
    </section>
  );
}
