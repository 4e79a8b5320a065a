/**
 * Capabilities: who holds what and from whom, who could do something, and why.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { CapabilityView } from "../../schema/authority.ts";
import type { Who } from "../api.ts";
import { GrantForm, type GrantWish, RevokeDialog } from "../capability_acts.tsx";
import { WhoCan, Why } from "../capability_asks.tsx";
import { CapabilityTree, expiryOf, Rule, Uses, Via } from "../capability_parts.tsx";
import { Choice, may, Only, TextField } from "../forms.tsx";
import { Rest, Table, TreeChoice } from "../lists.tsx";
import { useFilters, usePages, withQuery } from "../paged.ts";
import type { PageProps } from "../pages.ts";
import { Age, Empty, Page, Pid } from "../parts.tsx";
import { visible } from "../words.ts";

type Of = (name: string) => string;
type SetFilter = (name: string, value: string) => void;

/** The page. */
export function Capabilities({ place, who }: PageProps): JSX.Element {
  const [of, set] = useFilters(place);
  const [wish, setWish] = useState<GrantWish>({ pid: "", rule: "", uses: "" });
  const [revoking, setRevoking] = useState<CapabilityView | undefined>();
  const tree = of("tree");
  const list = usePages<CapabilityView>(
    withQuery("/v1/capabilities", { tree, uses: tree === "" ? undefined : "true" }),
    ({ kind }) => kind === "syscall.result" || kind === "approval.decided",
  );
  const shown = list.items?.filter((cap) => fits(cap, of, Date.now())) ?? [];
  const isTree = of("as") === "tree";
  return (
    <Page title="Capabilities">
      <Filters of={of} set={set} />
      {list.items !== undefined && shown.length === 0 && (
        <Empty command="libos grant p_1 'file.read(./notes/a.txt)'">
          {list.items.length === 0 ? "Nobody holds anything." : "No capability fits the filters."}
        </Empty>
      )}
      {shown.length > 0 && (isTree
        ? (
          <CapabilityTree
            caps={shown}
            act={(cap) => <Revoke cap={cap} who={who} ask={setRevoking} />}
          />
        )
        : <Rows caps={shown} who={who} ask={setRevoking} />)}
      <Rest list={list} />
      <div class="cols">
        <WhoCan />
        <Why grant={(next) => setWish(next)} />
      </div>
      <section aria-labelledby="grant">
        <h2 id="grant">Give a right</h2>
        <Only who={who} role="operator" what="Giving rights">
          <GrantForm wish={wish} set={setWish} done={list.again} />
        </Only>
      </section>
      {revoking !== undefined && (
        <RevokeDialog
          cap={revoking}
          all={list.items ?? []}
          close={() => setRevoking(undefined)}
          done={list.again}
        />
      )}
    </Page>
  );
}

const VIAS = ["boot", "spawn", "delegate", "approval", "operator"] as const;

function Filters({ of, set }: { readonly of: Of; readonly set: SetFilter }): JSX.Element {
  const text = (name: string, word: string, sample: string): JSX.Element => (
    <TextField
      name={word}
      sample={sample}
      value={of(name)}
      set={(value) => set(name, value)}
    />
  );
  const choice = (name: string, word: string, options: readonly (readonly [string, string])[]) => (
    <Choice name={word} value={of(name)} set={(value) => set(name, value)} options={options} />
  );
  return (
    <div class="filters" role="search" aria-label="Which capabilities">
      {choice("as", "Show as", [["", "table"], ["tree", "who gave whom"]])}
      <TreeChoice value={of("tree")} set={(value) => set("tree", value)} />
      {text("right", "Right", "file.")}
      {text("subject", "Held by", "p_1")}
      {choice("via", "Given by", [["", "any way"], ...VIAS.map((via) => [via, via] as const)])}
      {choice("uses", "Uses", [
        ["", "any"],
        ["limited", "limited"],
        ["unlimited", "not limited"],
        ["none", "none left"],
        ...(of("tree") === "" ? [] : [["unused", "never used"] as const]),
      ])}
      {choice("ends", "Ends", [["", "any"], ["hour", "within an hour"], ["ever", "some time"], [
        "never",
        "never",
      ]])}
      {of("tree") === "" && <p class="dim">Choose a tree to see how often each was used.</p>}
    </div>
  );
}

/** Whether a capability fits the filters. */
function fits(cap: CapabilityView, of: Of, nowMs: number): boolean {
  const { usesMax, usesSpent, expiresAt } = cap;
  const endsMs = expiresAt === null ? Infinity : Date.parse(expiresAt) - nowMs;
  const byUses: Readonly<Record<string, boolean>> = {
    limited: usesMax !== null,
    unlimited: usesMax === null,
    none: usesMax !== null && usesSpent >= usesMax,
    unused: cap.used?.calls === 0,
  };
  const byEnd: Readonly<Record<string, boolean>> = {
    hour: endsMs <= 3_600_000,
    ever: expiresAt !== null,
    never: expiresAt === null,
  };
  return `${cap.right}(${cap.resource})`.includes(of("right")) &&
    (of("subject") === "" || cap.subject === of("subject")) &&
    (of("via") === "" || cap.via === of("via")) &&
    (byUses[of("uses")] ?? true) && (byEnd[of("ends")] ?? true);
}

function Rows({ caps, who, ask }: {
  readonly caps: readonly CapabilityView[];
  readonly who: Who;
  readonly ask: (cap: CapabilityView) => void;
}): JSX.Element {
  return (
    <Table
      label="Capabilities"
      heads={["Id", "Allows", "Held by", "Given", "Uses", "Ends", "With it fall", "Act"]}
    >
      {caps.map((cap) => (
        <tr key={cap.id}>
          <td class="id">{cap.id}</td>
          <td>
            <Rule cap={cap} />
          </td>
          <td>
            <Pid pid={cap.subject} />
          </td>
          <td>
            <Via via={cap.via} /> by {visible(cap.by)}, <Age at={cap.givenAt} /> ago
          </td>
          <td>
            <Uses cap={cap} />
          </td>
          <td>{expiryOf(cap)}</td>
          <td>{cap.below.capabilities - 1}</td>
          <td>
            <Revoke cap={cap} who={who} ask={ask} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Revoke({ cap, who, ask }: {
  readonly cap: CapabilityView;
  readonly who: Who;
  readonly ask: (cap: CapabilityView) => void;
}): JSX.Element | null {
  if (!may(who, "operator")) return null;
  return (
    <button type="button" class="no" aria-label={`Revoke ${cap.id}`} onClick={() => ask(cap)}>
      Revoke
    </button>
  );
}
