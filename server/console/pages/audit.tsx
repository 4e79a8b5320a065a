/**
 * Audit and replay: the lines of a tree in words, whether the chains hold, and what the tree was
 * at any line.
 * @module
 */

import type { JSX } from "preact";
import type { EventView, OverviewView } from "../../schema/evidence.ts";
import type { TreeView } from "../../schema/process.ts";
import { send } from "../api.ts";
import { Choice, may, Said, TextField, useAct } from "../forms.tsx";
import { Badge, Rest, Table, TONE, TreeChoice } from "../lists.tsx";
import { useRead } from "../live.ts";
import { useFilters, usePages, withQuery } from "../paged.ts";
import type { PageProps } from "../pages.ts";
import { Age, Claimed, Empty, Page, Pid, Problem } from "../parts.tsx";
import { Replay } from "../replay.tsx";

type Of = (name: string) => string;
type SetFilter = (name: string, value: string) => void;

/** Lines shown where nobody says which. */
const LATEST = 100;

/** The page. */
export function Audit({ place, who }: PageProps): JSX.Element {
  const [of, set] = useFilters(place);
  const tree = of("tree");
  const { data: seen, error } = useRead<TreeView>(
    tree === "" ? null : `/v1/trees/${encodeURIComponent(tree)}`,
    (event) => event.tree === tree,
  );
  const line = Number(of("line"));
  return (
    <Page title="Audit and replay" side={<Chain />}>
      <div class="filters">
        <TreeChoice value={tree} set={(value) => set("tree", value)} all={false} />
        {tree !== "" && <Filters of={of} set={set} />}
        {tree !== "" && may(who, "operator") && (
          <a
            class="button"
            href={withQuery("/v1/audit", { tree })}
            download={`${tree}.jsonl`}
          >
            Export JSON Lines
          </a>
        )}
      </div>
      {error !== undefined && <Problem error={error} />}
      {tree === "" && <Empty command="libos logs p_1">Choose a tree to read its log.</Empty>}
      {seen !== undefined && (
        <>
          {seen.broken !== null && (
            <p class="problem" role="alert">This node stopped {tree}: {seen.broken}</p>
          )}
          {line > 0 && (
            <Replay
              key={tree}
              tree={tree}
              line={Math.min(line, seen.seq)}
              last={seen.seq}
              set={(next) => set("line", String(next))}
              close={() => set("line", "")}
            />
          )}
          <Lines key={tree} tree={seen} of={of} set={set} />
        </>
      )}
    </Page>
  );
}

/** Whether the chains held when they were last looked at, and a way to look now. */
function Chain(): JSX.Element {
  const { data, again } = useRead<OverviewView>(
    "/v1/overview",
    ({ kind }) => kind === "audit.head",
  );
  const act = useAct();
  const verify = (): void =>
    act.run(async () => {
      const found = await send<Verified>("POST", "/v1/audit/verify");
      again();
      if (found.ok) return `${found.lines} lines of ${found.trees} trees: every chain holds.`;
      throw new Error(found.broken.map(({ tree, why }) => `${tree}: ${why}`).join("; "));
    });
  const audit = data?.audit ?? null;
  return (
    <>
      {audit === null ? <Badge>not checked yet</Badge> : (
        <Badge tone={audit.ok ? "allow" : "deny"}>
          {audit.ok ? "chains hold" : "a chain is broken"}, checked <Age at={audit.checkedAt} /> ago
        </Badge>
      )}
      <button type="button" aria-disabled={act.isBusy} onClick={verify}>
        {act.isBusy ? "Checking…" : "Verify"}
      </button>
      <Said act={act} />
    </>
  );
}

interface Verified {
  readonly ok: boolean;
  readonly trees: number;
  readonly lines: number;
  readonly broken: readonly { readonly tree: string; readonly why: string }[];
}

const TYPES = [
  "call",
  "process",
  "human",
  "cap",
  "object",
  "tool",
  "checkpoint",
  "policy",
  "inbox",
  "tree",
].map((type) => [type, type] as const);

function Filters({ of, set }: { readonly of: Of; readonly set: SetFilter }): JSX.Element {
  return (
    <>
      <TextField
        name="Process"
        isFilter
        sample="p_1"
        value={of("pid")}
        set={(value) => set("pid", value)}
      />
      <Choice
        name="What"
        value={of("type")}
        set={(value) => set("type", value)}
        options={[["", "all"], ...TYPES]}
      />
      <Choice
        name="Decision"
        value={of("decision")}
        set={(value) => set("decision", value)}
        options={[["", "any"], ["allow", "allow"], ["ask", "ask"], ["deny", "deny"]]}
      />
      <TextField
        name="From line"
        isNumber
        sample="the latest"
        value={of("from")}
        set={(value) => set("from", value.replace(/\D/g, ""))}
      />
    </>
  );
}

function Lines({ tree, of, set }: {
  readonly tree: TreeView;
  readonly of: Of;
  readonly set: SetFilter;
}): JSX.Element {
  const isFiltered = ["pid", "type", "decision"].some((name) => of(name) !== "");
  // Rounded, so that the list is not another one with each line that comes in.
  const latest = Math.max(1, Math.floor((tree.seq - LATEST) / LATEST) * LATEST + 1);
  const from = Number(of("from")) || (isFiltered ? 1 : latest);
  const list = usePages<EventView>(
    withQuery(`/v1/trees/${tree.tree}/events`, {
      from,
      pid: /^p_[1-9]\d*(\.[1-9]\d*)?$/.test(of("pid")) ? of("pid") : undefined,
      type: of("type"),
      decision: of("decision"),
    }),
    (event) => event.tree === tree.tree,
  );
  return (
    <section aria-labelledby="lines">
      <h2 id="lines">Lines of {tree.tree}</h2>
      {from > 1 && (
        <p>
          <button
            type="button"
            onClick={() => set("from", String(Math.max(1, from - LATEST)))}
          >
            Earlier lines
          </button>
        </p>
      )}
      {list.items?.length === 0 && <Empty>No line fits.</Empty>}
      {list.items !== undefined && list.items.length > 0 && (
        <Table label="Lines" heads={["Line", "When", "Process", "What", "Decision"]}>
          {list.items.map((one) => (
            <tr key={one.seq} class={String(one.seq) === of("line") ? "chosen" : undefined}>
              <td>
                <button
                  type="button"
                  class="plain"
                  aria-label={`State at line ${one.seq}`}
                  onClick={() =>
                    set("line", String(one.seq))}
                >
                  {one.seq}
                </button>
              </td>
              <td>
                <time dateTime={one.at} title={one.at}>{one.at.slice(11, 19)}</time>
              </td>
              <td>{one.pid !== null && <Pid pid={one.pid} />}</td>
              <td>
                <b>{one.word}</b> <Claimed text={one.text} max={400} />
              </td>
              <td>
                {one.decision !== null && <Badge tone={TONE[one.decision]}>{one.decision}</Badge>}
              </td>
            </tr>
          ))}
        </Table>
      )}
      <Rest list={list} />
    </section>
  );
}
