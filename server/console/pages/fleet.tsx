/**
 * The fleet: the nodes that share the store, orders to them, and trees that none of them has.
 * @module
 */

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import type { Node } from "../../client.ts";
import { send, type Who } from "../api.ts";
import { type Act, may, Only, Said, useAct } from "../forms.tsx";
import { labelsText } from "../labels.ts";
import { Badge, Table } from "../lists.tsx";
import { useRead } from "../live.ts";
import type { PageProps } from "../pages.ts";
import { Claimed, Page, Problem } from "../parts.tsx";
import { withQuery } from "../paged.ts";
import { spanOf, visible } from "../words.ts";

/** Nodes beat every few seconds, and nothing of that is an event. */
const LOOK_MS = 2_000;

interface Free {
  readonly ready: number;
  readonly resting: number;
  readonly atMost: number;
  readonly first: readonly {
    readonly tree: string;
    readonly title: string;
    readonly selector: Readonly<Record<string, string>> | null;
  }[];
}

/** The replica that the server reads what it shows from. */
interface Replica {
  readonly name: string;
  readonly use: "unasked" | "used" | "behind" | "away" | "refused";
  readonly detail: string;
  readonly lagMs: number | null;
  readonly lagBytes: number | null;
}

const ORDERS = {
  active: [["cordon", "Cordon"], ["drain", "Drain"]],
  cordoned: [["uncordon", "Uncordon"], ["drain", "Drain"]],
  draining: [["uncordon", "Uncordon"]],
  gone: [],
} as const;

const TONES = { active: "allow", cordoned: "ask", draining: "ask", gone: "deny" } as const;

/** The page. */
export function Fleet({ who }: PageProps): JSX.Element {
  const { data, error, again } = useRead<{
    items: readonly Node[];
    free: Free | null;
    replica: Replica | null;
  }>(
    "/v1/nodes",
    ({ kind }) => kind === "node.state",
  );
  const act = useAct();
  useEffect(() => {
    const timer = setInterval(again, LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  const isConfined = Object.keys(who.labels).length > 0;
  const isAlone = data?.items.every(({ fleet }) => fleet === null) ?? false;
  return (
    <Page title="Fleet">
      {error !== undefined && <Problem error={error} />}
      {isAlone && (
        <p>
          {isConfined
            ? "Your token sees some trees only, and of the nodes this one."
            : "One node has this store alone; several share one in PostgreSQL."}
        </p>
      )}
      {data !== undefined && <Nodes items={data.items} who={who} act={act} done={again} />}
      <Said act={act} />
      {!isAlone && data !== undefined && (
        <Only who={who} role="admin" what="Ordering nodes">{null}</Only>
      )}
      {data?.replica != null && <Copy replica={data.replica} />}
      {data?.free != null && <Unheld free={data.free} />}
    </Page>
  );
}

function Nodes({ items, who, act, done }: {
  readonly items: readonly Node[];
  readonly who: Who;
  readonly act: Act;
  readonly done: () => void;
}): JSX.Element {
  const order = ({ id, name }: Node, verb: string): void =>
    act.run(async () => {
      await send("POST", `/v1/nodes/${encodeURIComponent(id)}/${verb}`);
      done();
      return `${visible(name)} was told to ${verb}.`;
    });
  const heads = [
    "Node",
    "State",
    "Labels",
    "Trees",
    "Active",
    "Steps/s",
    "Lease",
    "Version",
    "Act",
  ];
  return (
    <Table label="Nodes" heads={heads}>
      {items.map((node) => (
        <tr key={node.id}>
          <td>
            {visible(node.name)} <span class="id dim">{visible(node.id)}</span>
          </td>
          <td>
            <Badge tone={TONES[node.state]}>{node.state}</Badge>
          </td>
          <td>{visible(labelsText(node.labels))}</td>
          <td>{node.trees}</td>
          <td>
            {node.running}
            {node.fleet !== null && <span class="dim">of {node.fleet.capacity}</span>}
          </td>
          <td>{node.fleet === null ? "–" : node.fleet.steps.toFixed(1)}</td>
          <td>{leaseOf(node)}</td>
          <td>{visible(node.version)}</td>
          <td>
            {node.fleet !== null && may(who, "admin") &&
              ORDERS[node.state].map(([verb, name]) => (
                <button
                  key={verb}
                  type="button"
                  aria-label={`${name} ${visible(node.name)}`}
                  aria-disabled={act.isBusy}
                  onClick={() => order(node, verb)}
                >
                  {name}
                </button>
              ))}
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** How long ago the lease was renewed, and how long it is. */
function leaseOf({ state, fleet }: Node): string {
  if (fleet === null) return "–";
  const age = `${spanOf(fleet.beatAgeMs)} ago`;
  return state === "gone" ? `last ${age}` : `${age}, of ${spanOf(fleet.leaseMs)}`;
}

function Copy({ replica: { name, use, detail, lagMs, lagBytes } }: {
  readonly replica: Replica;
}): JSX.Element {
  return (
    <section aria-labelledby="replica">
      <h2 id="replica">Replica</h2>
      <p>
        <Badge tone={use === "used" ? "allow" : "ask"}>{use}</Badge>{" "}
        <span class="id">{visible(name)}</span>: {visible(detail)}.{" "}
        {lagMs !== null && `It is ${spanOf(lagMs)} behind at most, ${lagBytes ?? 0} bytes.`}
      </p>
    </section>
  );
}

function Unheld({ free }: { readonly free: Free }): JSX.Element {
  const { ready, resting, atMost, first } = free;
  const count = (n: number): string => n < atMost ? String(n) : `${n} or more`;
  return (
    <section aria-labelledby="unheld">
      <h2 id="unheld">Trees that no node has</h2>
      <p>
        {count(ready)} with something to do, {count(resting)} that only wait.
      </p>
      {first.length > 0 && (
        <Table label="Trees that no node has" heads={["Tree", "What", "Asks for a node with"]}>
          {first.map(({ tree, title, selector }) => (
            <tr key={tree}>
              <td>
                <a class="id" href={withQuery("/view/audit", { tree })}>{tree}</a>
              </td>
              <td>
                <Claimed text={title} max={120} />
              </td>
              <td>{selector === null ? "any" : visible(labelsText(selector))}</td>
            </tr>
          ))}
        </Table>
      )}
    </section>
  );
}
