/**
 * Budgets: what was spent over time, what each process may spend, and setting limits.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { BudgetRow } from "../../schema/authority.ts";
import { amountOf, AMOUNTS, Amounts, amountsOf, nameOf } from "../amounts.tsx";
import { send, type Who } from "../api.ts";
import { Dialog, Form, may, Tick, useAct } from "../forms.tsx";
import { Badge, Rest, Table, TreeChoice } from "../lists.tsx";
import { useFilters, usePages, withQuery } from "../paged.ts";
import type { PageProps } from "../pages.ts";
import { Claimed, Empty, Page, Pid } from "../parts.tsx";
import { Plots } from "../plots.tsx";

/** The page. */
export function Budgets({ place, who }: PageProps): JSX.Element {
  const [of, set] = useFilters(place);
  const [setting, setSetting] = useState<BudgetRow | undefined>();
  const list = usePages<BudgetRow>(
    withQuery("/v1/budgets", { tree: of("tree"), all: of("all") }),
    ({ kind }) =>
      kind === "syscall.result" || kind === "process.state" || kind === "budget.warning",
  );
  return (
    <Page title="Budgets">
      <Plots />
      <h2>Processes</h2>
      <div class="filters">
        <TreeChoice value={of("tree")} set={(value) => set("tree", value)} />
        <Tick
          name="Ended ones too"
          value={of("all") === "true"}
          set={(value) => set("all", value ? "true" : "")}
        />
      </div>
      {list.items?.length === 0 && (
        <Empty command='libos run agent.ts "goal" --budget tokens=50000'>
          No process is there.
        </Empty>
      )}
      {list.items !== undefined && list.items.length > 0 && (
        <Rows items={list.items} who={who} act={setSetting} />
      )}
      <Rest list={list} />
      {setting !== undefined && (
        <LimitsDialog
          row={setting}
          close={() => setSetting(undefined)}
          done={list.again}
        />
      )}
    </Page>
  );
}

function Rows({ items, who, act }: {
  readonly items: readonly BudgetRow[];
  readonly who: Who;
  readonly act: (row: BudgetRow) => void;
}): JSX.Element {
  return (
    <Table label="Budgets" heads={["Process", "Goal", "Spent", "Nearest limit", "Act"]}>
      {items.map((row) => (
        <tr key={row.pid}>
          <td>
            <Pid pid={row.pid} />
            {row.ended && <Badge>ended</Badge>}
          </td>
          <td>
            <Claimed text={row.goal} max={120} />
          </td>
          <td>
            {Object.entries(row.spent).map(([kind, value = 0]) =>
              value > 0 && <div key={kind}>{nameOf(kind)}: {amountOf(kind, value)}</div>
            )}
          </td>
          <td>
            {row.nearest.length === 0 ? <span class="dim">no limit</span> : (
              row.nearest.map((one) => <Nearest key={one.kind} of={one} pid={row.pid} />)
            )}
          </td>
          <td>
            {may(who, "operator") && !row.ended && (
              <button
                type="button"
                aria-label={`Set limits of ${row.pid}`}
                onClick={() => act(row)}
              >
                Set limits
              </button>
            )}
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** A limit, how far away it is, and whose it is. */
function Nearest({ of, pid }: {
  readonly of: BudgetRow["nearest"][number];
  readonly pid: string;
}): JSX.Element {
  const { kind, limit, spent } = of;
  const share = limit === 0 ? 1 : Math.min(1, spent / limit);
  return (
    <div class="limit">
      <span>
        {nameOf(kind)}: {amountOf(kind, spent)} of {amountOf(kind, limit)}
        {of.pid !== pid && <span class="dim">, limit of {of.pid}</span>}
      </span>
      <span class="limit-bar" aria-hidden="true">
        <span
          class={share >= 0.9 ? "deny" : share >= 0.7 ? "ask" : "allow"}
          style={{ width: `${Math.round(share * 100)}%` }}
        />
      </span>
    </div>
  );
}

function LimitsDialog({ row, close, done }: {
  readonly row: BudgetRow;
  readonly close: () => void;
  readonly done: () => void;
}): JSX.Element {
  const act = useAct();
  const [values, setValues] = useState<Readonly<Record<string, string>>>(
    Object.fromEntries(Object.entries(row.limits).map(([kind, value]) => [kind, String(value)])),
  );
  const save = async (): Promise<void> => {
    await send("PUT", `/v1/processes/${row.pid}/budget`, amountsOf(values));
    done();
    close();
  };
  return (
    <Dialog title={`Limits of ${row.pid}`} close={close}>
      <p>
        They hold for {row.pid} and all below it, together. What you leave empty stays as it is.
      </p>
      <Form act={act} send={save} button="Set" tone="yes">
        <Amounts kinds={AMOUNTS} values={values} set={setValues} sample="no limit" />
      </Form>
    </Dialog>
  );
}
