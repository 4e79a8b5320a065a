/**
 * Checkpoints: named positions of trees, what differs between them, branching off, going back.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { CheckpointView } from "../../schema/memory.ts";
import { get, send, type Who } from "../api.ts";
import { ForkDialog, RollbackDialog } from "../checkpoint_acts.tsx";
import { Choice, Form, may, Only, TextField, useAct } from "../forms.tsx";
import { Rest, Table, TreeChoice } from "../lists.tsx";
import { useFilters, usePages, withQuery } from "../paged.ts";
import type { PageProps } from "../pages.ts";
import { Age, Claimed, Empty, Page } from "../parts.tsx";
import { ChangeList } from "../replay.tsx";
import { visible } from "../words.ts";

type Doing = { readonly what: "fork" | "rollback"; readonly on: CheckpointView } | undefined;

/** The page. */
export function Checkpoints({ place, who }: PageProps): JSX.Element {
  const [of, set] = useFilters(place);
  const [doing, setDoing] = useState<Doing>();
  const tree = of("tree");
  const list = usePages<CheckpointView>(
    withQuery("/v1/checkpoints", { tree }),
    ({ kind }) => kind === "checkpoint.created" || kind === "process.state",
  );
  const items = list.items ?? [];
  const close = (): void => setDoing(undefined);
  return (
    <Page title="Checkpoints">
      <div class="filters">
        <TreeChoice value={tree} set={(value) => set("tree", value)} />
      </div>
      {list.items?.length === 0 && (
        <Empty command="libos checkpoint create p_1 before-the-change">
          No checkpoint was taken. The kernel takes one by itself before a person is asked about
          something that cannot be undone.
        </Empty>
      )}
      {items.length > 0 && <Rows items={items} who={who} act={setDoing} />}
      <Rest list={list} />
      {items.length > 1 && <Compare items={items} />}
      <section aria-labelledby="take">
        <h2 id="take">Take a checkpoint</h2>
        <Only who={who} role="operator" what="Taking checkpoints">
          <Take done={list.again} />
        </Only>
      </section>
      {doing?.what === "fork" && <ForkDialog checkpoint={doing.on} who={who} close={close} />}
      {doing?.what === "rollback" && (
        <RollbackDialog checkpoint={doing.on} close={close} done={list.again} />
      )}
    </Page>
  );
}

function Rows({ items, who, act }: {
  readonly items: readonly CheckpointView[];
  readonly who: Who;
  readonly act: (doing: Doing) => void;
}): JSX.Element {
  return (
    <Table label="Checkpoints" heads={["Name", "Id", "Tree", "Line", "Taken", "Act"]}>
      {items.map((one) => (
        <tr key={one.id}>
          <td>
            <Claimed text={one.name} max={200} />
          </td>
          <td class="id">{one.id}</td>
          <td class="id">{one.tree}</td>
          <td>
            <a href={withQuery("/view/audit", { tree: one.tree, line: one.seq })}>{one.seq}</a>
          </td>
          <td>
            <Age at={one.at} /> ago by {visible(one.by)}
            {one.auto !== null && (
              <span class="dim">
                {` by itself, before ${
                  one.auto === "ask" ? "a question" : "what cannot be undone"
                }`}
              </span>
            )}
          </td>
          <td>
            {may(who, "operator") && (
              <div class="row">
                <button
                  type="button"
                  aria-label={`Fork from ${one.id}`}
                  onClick={() => act({ what: "fork", on: one })}
                >
                  Fork
                </button>
                <button
                  type="button"
                  class="no"
                  aria-label={`Roll back to ${one.id}`}
                  onClick={() => act({ what: "rollback", on: one })}
                >
                  Roll back
                </button>
              </div>
            )}
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** What differs between two checkpoints of a tree. */
function Compare({ items }: { readonly items: readonly CheckpointView[] }): JSX.Element {
  const act = useAct();
  const [one, setOne] = useState("");
  const [two, setTwo] = useState("");
  const [found, setFound] = useState<Parameters<typeof ChangeList>[0]["changes"] | undefined>();
  const first = items.find(({ id }) => id === one) ?? items[0]!;
  const alike = items.filter(({ tree }) => tree === first.tree);
  const options = (of: readonly CheckpointView[]): [string, string][] =>
    of.map(({ id, name }) => [id, visible(`${id} ${name}`).slice(0, 60)]);
  const second = alike.some(({ id }) => id === two) ? two : "";
  const compare = async (): Promise<void> => {
    const query = { from: first.id, to: second };
    setFound(await get(withQuery(`/v1/trees/${first.tree}/diff`, query)));
  };
  return (
    <section aria-labelledby="compare">
      <h2 id="compare">Compare two</h2>
      <Form act={act} send={compare} button="Compare">
        <Choice name="From" value={first.id} set={setOne} options={options(items)} />
        <Choice
          name="To"
          value={second}
          set={setTwo}
          options={[["", "now"], ...options(alike)]}
        />
      </Form>
      {found !== undefined && (
        <div aria-live="polite">
          <p>From line {found.from} to line {found.to}:</p>
          <ChangeList changes={found} />
        </div>
      )}
    </section>
  );
}

function Take({ done }: { readonly done: () => void }): JSX.Element {
  const act = useAct();
  const [pid, setPid] = useState("");
  const [name, setName] = useState("");
  const take = async (): Promise<string> => {
    const path = `/v1/processes/${encodeURIComponent(pid.trim())}/checkpoints`;
    const { id, tree, seq } = await send<CheckpointView>("POST", path, { name });
    done();
    return `${id} names line ${seq} of ${tree}.`;
  };
  return (
    <Form act={act} send={take} button="Take" disabled={pid === "" || name === ""}>
      <TextField name="Process" sample="p_1" value={pid} set={setPid} />
      <TextField name="Name" sample="before the change" value={name} set={setName} />
    </Form>
  );
}
