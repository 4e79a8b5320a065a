/**
 * What belongs to a process, in short: its rights, objects, tools and checkpoints.
 * @module
 */

import type { ComponentChildren, JSX } from "preact";
import type { CapabilityView } from "../../schema/authority.ts";
import type { CheckpointView, ObjectView, ToolView } from "../../schema/memory.ts";
import type { ProcessView } from "../../schema/process.ts";
import type { Who } from "../api.ts";
import { useRead } from "../live.ts";
import { Age, Claimed, Empty, Problem } from "../parts.tsx";
import { pathTo } from "../route.ts";
import { timeOf } from "../words.ts";

/** What each part of the page is given. */
export interface Given {
  readonly process: ProcessView;
  readonly who: Who;
}

/** A page of things. */
export type List<T> = { readonly items: readonly T[]; readonly next: string | null };

/** A table that scrolls in itself where it is too wide. */
export function Rows({ label, heads, children }: {
  readonly label: string;
  readonly heads: readonly string[];
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>{heads.map((head) => <th key={head}>{head}</th>)}</tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** What a process may. */
export function Rights({ process: { pid, tree } }: Given): JSX.Element {
  const { data, error } = useRead<List<CapabilityView>>(
    `/v1/processes/${pid}/capabilities`,
    (event) => event.tree === tree && event.kind !== "process.text",
  );
  return (
    <>
      <p>
        <a href={`/view/capabilities?pid=${pid}`}>Give, revoke and explain</a>
      </p>
      {error !== undefined && <Problem error={error} />}
      {data?.items.length === 0 && <Empty>It has no capability.</Empty>}
      {data !== undefined && data.items.length > 0 && (
        <Rows label="Capabilities" heads={["Id", "Rule", "From", "Uses", "Ends"]}>
          {data.items.map(({ id, right, resource, via, by, usesMax, usesSpent, expiresAt }) => (
            <tr key={id}>
              <td class="id">{id}</td>
              <td>
                <code>
                  <Claimed text={`${right}(${resource})`} max={500} />
                </code>
              </td>
              <td>{via === by ? via : `${via}, by ${by}`}</td>
              <td>{usesMax === null ? "any" : `${usesSpent} of ${usesMax}`}</td>
              <td>{expiresAt === null ? "–" : timeOf(expiresAt)}</td>
            </tr>
          ))}
        </Rows>
      )}
    </>
  );
}

/** What a process remembers. */
export function Objects({ process: { pid } }: Given): JSX.Element {
  const { data, error } = useRead<List<ObjectView>>(
    `/v1/objects?pid=${pid}`,
    (event) => event.pid === pid && event.kind === "object.version",
  );
  return (
    <>
      {error !== undefined && <Problem error={error} />}
      {data?.items.length === 0 && <Empty>It has made no object.</Empty>}
      {data !== undefined && data.items.length > 0 && (
        <Rows label="Objects" heads={["Name", "Type", "Version", "Label", "Age"]}>
          {data.items.map(({ id, name, type, version, label, at }) => (
            <tr key={id}>
              <td>
                <a data-row="" href={pathTo.object(id)}>
                  <Claimed text={name} max={200} />
                </a>
              </td>
              <td>
                <Claimed text={type} max={100} />
              </td>
              <td>{version}</td>
              <td>{label.sensitivity}, {label.trust}</td>
              <td>
                <Age at={at} />
              </td>
            </tr>
          ))}
        </Rows>
      )}
    </>
  );
}

/** What a process's model sees. */
export function Tools({ process: { pid, tools } }: Given): JSX.Element {
  const { data, error } = useRead<List<ToolView>>(
    `/v1/processes/${pid}/tools`,
    (event) => event.pid === pid && event.kind === "tool.registered",
  );
  return (
    <>
      {error !== undefined && <Problem error={error} />}
      <h2>Generated</h2>
      {data?.items.length === 0 && <p class="dim">None.</p>}
      <ul>
        {data?.items.map(({ hash, name, description, revoked }) => (
          <li key={hash}>
            <a data-row="" href={pathTo.tool(hash)}>
              <Claimed text={name} max={100} />
            </a>{" "}
            <Claimed text={description} max={300} />
            {revoked !== null && <span class="badge deny">revoked</span>}
          </li>
        ))}
      </ul>
      <h2>Of its image</h2>
      <p class="claimed">{tools.join(", ") || "None."}</p>
    </>
  );
}

/** Where a process's tree can go back to. */
export function Checkpoints({ process: { tree } }: Given): JSX.Element {
  const { data, error } = useRead<List<CheckpointView>>(
    `/v1/checkpoints?tree=${tree}`,
    (event) => event.tree === tree && event.kind === "checkpoint.created",
  );
  return (
    <>
      {error !== undefined && <Problem error={error} />}
      {data?.items.length === 0 && (
        <Empty command={`libos checkpoint create ${tree.replace("t", "p")} before`}>
          No position of {tree} has a name.
        </Empty>
      )}
      {data !== undefined && data.items.length > 0 && (
        <Rows label="Checkpoints" heads={["Id", "Name", "By", "Line", "Age"]}>
          {data.items.map(({ id, name, by, seq, at }) => (
            <tr key={id}>
              <td>
                <a class="id" data-row="" href={`/view/checkpoints?tree=${tree}&id=${id}`}>{id}</a>
              </td>
              <td>
                <Claimed text={name} max={200} />
              </td>
              <td>{by}</td>
              <td>{seq}</td>
              <td>
                <Age at={at} />
              </td>
            </tr>
          ))}
        </Rows>
      )}
    </>
  );
}
