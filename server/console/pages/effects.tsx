/**
 * Effects that are under way, or whose outcome nobody knows.
 * @module
 */

import type { JSX } from "preact";
import type { EffectView } from "../../schema/evidence.ts";
import { Rest, Table } from "../lists.tsx";
import { usePages, withQuery } from "../paged.ts";
import { Age, Claimed, Empty, Page, Pid } from "../parts.tsx";
import { pathTo } from "../route.ts";
import { visible } from "../words.ts";

/** The page. */
export function Effects(): JSX.Element {
  const list = usePages<EffectView>(
    "/v1/effects",
    ({ kind }) =>
      ["syscall.request", "model.call", "syscall.result", "approval.created", "approval.decided"]
        .includes(kind),
  );
  return (
    <Page title="Effects in doubt">
      <p class="dim">
        Effects that were sent and have no outcome in the log: they are under way, or the kernel
        died meanwhile. Of those nobody can know about, a person is asked.
      </p>
      {list.items?.length === 0 && (
        <Empty command="libos effects --open">No effect is under way or in doubt.</Empty>
      )}
      {list.items !== undefined && list.items.length > 0 && (
        <Table label="Effects" heads={["Call", "Process", "What", "Since", "Question"]}>
          {list.items.map((one) => (
            <tr key={`${one.tree} ${one.seq}`}>
              <td>
                <a class="id" href={withQuery("/view/audit", { tree: one.tree, line: one.seq })}>
                  {visible(one.call)}
                </a>
              </td>
              <td>
                <Pid pid={one.pid} />
              </td>
              <td>
                <b>{visible(one.name)}</b>{" "}
                <code>
                  <Claimed text={one.resource} max={300} />
                </code>
              </td>
              <td>
                <Age at={one.at} />
              </td>
              <td class="now">
                {one.request === null
                  ? <span class="dim">under way</span>
                  : <a href={pathTo.request(one.request)}>Answer {one.request}</a>}
              </td>
            </tr>
          ))}
        </Table>
      )}
      <Rest list={list} />
    </Page>
  );
}
