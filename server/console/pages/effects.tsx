/**
 * Effects that are under way, or whose outcome nobody knows.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { EffectView } from "../../schema/evidence.ts";
import { Only } from "../forms.tsx";
import { Rest, Table } from "../lists.tsx";
import { usePages, withQuery } from "../paged.ts";
import type { PageProps } from "../pages.ts";
import { Age, Block, Claimed, Empty, Page, Pid } from "../parts.tsx";
import { exactJson } from "../request_text.ts";
import { pathTo } from "../route.ts";
import { visible } from "../words.ts";

/** The page. */
export function Effects({ who }: PageProps): JSX.Element {
  const [isOpen, open] = useState(false);
  const list = usePages<EffectView>(
    withQuery("/v1/effects", isOpen ? { reveal: "true" } : {}),
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
        <>
          <Only who={who} role="operator" what="Looking at arguments">
            <p class="dim">
              {isOpen
                ? "Arguments are shown; the logs of these trees say so."
                : "Arguments stay closed until you ask for them: the logs of these trees will " +
                  `say that ${visible(who.name)} looked.`}
            </p>
            <div class="row">
              <button type="button" onClick={() => open(!isOpen)}>
                {isOpen ? "Close arguments" : "Reveal arguments"}
              </button>
            </div>
          </Only>
          <Table label="Effects" heads={["Call", "Process", "What", "Since", "Question"]}>
            {list.items.map((one) => <Row key={`${one.tree} ${one.seq}`} one={one} />)}
          </Table>
          {list.items.filter(({ revealed }) => revealed).map((one) => (
            <section key={`${one.tree} ${one.seq}`} aria-label={`Sent by ${one.call}`}>
              <h2>
                {visible(one.call)} <span class="dim">{visible(one.name)}</span>
              </h2>
              <Block text={exactJson(one.args)} label={`Arguments of ${one.call}`} />
            </section>
          ))}
        </>
      )}
      <Rest list={list} />
    </Page>
  );
}

function Row({ one }: { readonly one: EffectView }): JSX.Element {
  return (
    <tr>
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
  );
}
