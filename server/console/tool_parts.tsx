/**
 * Parts of a tool's page: what it declared beside what it was seen to do, and its runs.
 * @module
 */

import type { JSX } from "preact";
import type { ToolView } from "../schema/memory.ts";
import { Badge, Table } from "./lists.tsx";
import { withQuery } from "./paged.ts";
import { Age, Pid } from "./parts.tsx";
import { spanOf, visible } from "./words.ts";

/** What a tool said it needs, beside what it was seen to do. */
export function Observed({ tool }: { readonly tool: ToolView }): JSX.Element {
  const { declared, observed } = tool;
  const rightOf = (rule: string): string => rule.slice(0, rule.indexOf("("));
  const rights = [...new Set([...declared.map(rightOf), ...observed.map(({ name }) => name)])];
  return (
    <section aria-labelledby="observed">
      <h2 id="observed">Declared and observed</h2>
      {rights.length === 0
        ? <p>It declared nothing but its input, and was seen to call nothing.</p>
        : (
          <Table
            label="Declared and observed"
            heads={["Right", "Declared", "Calls", "Refused", ""]}
          >
            {rights.map((right) => {
              const rules = declared.filter((rule) => rightOf(rule) === right);
              const seen = observed.find(({ name }) => name === right);
              return (
                <tr key={right}>
                  <td class="id">{visible(right)}</td>
                  <td>
                    {rules.length === 0 ? "no" : rules.map((rule) => (
                      <div key={rule}>
                        <code>{visible(rule)}</code>
                      </div>
                    ))}
                  </td>
                  <td>{seen?.calls ?? 0}</td>
                  <td>{seen?.denied ?? 0}</td>
                  <td>
                    {rules.length === 0 && <Badge tone="deny">not declared</Badge>}
                    {seen === undefined && <Badge>not seen yet</Badge>}
                  </td>
                </tr>
              );
            })}
          </Table>
        )}
    </section>
  );
}

/** The latest runs of a tool. */
export function Runs({ tool }: { readonly tool: ToolView }): JSX.Element {
  return (
    <section aria-labelledby="runs">
      <h2 id="runs">Runs</h2>
      {tool.runs.length === 0 ? <p>It was not run yet.</p> : (
        <Table
          label="Runs"
          heads={["Line", "Process", "When", "Took", "Calls", "Refused", "Ended"]}
        >
          {[...tool.runs].reverse().map((run) => (
            <tr key={run.seq}>
              <td>
                <a href={withQuery("/view/audit", { tree: tool.tree, line: run.seq })}>{run.seq}</a>
              </td>
              <td>
                <Pid pid={run.pid} />
              </td>
              <td>
                <Age at={run.at} /> ago
              </td>
              <td>{run.ms === null ? "–" : spanOf(run.ms)}</td>
              <td>{run.calls}</td>
              <td>{run.denied}</td>
              <td>
                {run.ok === null
                  ? <Badge>runs</Badge>
                  : run.ok
                  ? <Badge tone="allow">done</Badge>
                  : <Badge tone="deny">{run.code ?? "failed"}</Badge>}
              </td>
            </tr>
          ))}
        </Table>
      )}
    </section>
  );
}
