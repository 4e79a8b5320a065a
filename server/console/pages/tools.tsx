/**
 * Generated tools: their source, what they said they need and what they did, and taking them back.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { DiffLine } from "../../../kernel/diff.ts";
import type { ToolView } from "../../schema/memory.ts";
import { send, type Who } from "../api.ts";
import { Code, CodeDiff } from "../code.tsx";
import { Choice, Dialog, Form, Only, TextField, TypedWord, useAct } from "../forms.tsx";
import { Badge, Facts, Rest, Table, TreeChoice } from "../lists.tsx";
import { useRead } from "../live.ts";
import { useFilters, usePages, withQuery } from "../paged.ts";
import type { PageProps } from "../pages.ts";
import { Age, Claimed, Empty, Page, Pid, Problem } from "../parts.tsx";
import { pathTo } from "../route.ts";
import { Observed, Runs } from "../tool_parts.tsx";
import { visible } from "../words.ts";

/** The pages: all, and one. */
export function Tools(props: PageProps): JSX.Element {
  const hash = props.place.path[2];
  return hash === undefined ? <List {...props} /> : <One key={hash} hash={hash} who={props.who} />;
}

function List({ place }: PageProps): JSX.Element {
  const [of, set] = useFilters(place);
  const list = usePages<ToolView>(
    withQuery("/v1/tools", { tree: of("tree") }),
    ({ kind }) => kind === "tool.registered" || kind === "syscall.result",
  );
  const shown = list.items?.filter(({ name }) => name.includes(of("name"))) ?? [];
  return (
    <Page title="Tools">
      <div class="filters" role="search" aria-label="Which tools">
        <TreeChoice value={of("tree")} set={(value) => set("tree", value)} />
        <TextField
          name="Name"
          isFilter
          sample="csv_"
          value={of("name")}
          set={(value) => set("name", value)}
        />
      </div>
      {list.items !== undefined && shown.length === 0 && (
        <Empty command="libos demo toolmaker">
          {list.items.length === 0 ? "No agent has written a tool." : "No tool fits."}
        </Empty>
      )}
      {shown.length > 0 && (
        <Table
          label="Tools"
          heads={["Name", "Version", "Tree", "Written by", "Declared", "Tests", "Held by"]}
        >
          {shown.map((one) => (
            <tr key={`${one.tree} ${one.hash}`}>
              <td>
                <a href={pathTo.tool(one.hash)}>{visible(one.name)}</a>{" "}
                {one.revoked !== null && <Badge tone="deny">revoked</Badge>}
              </td>
              <td class="id" title={one.hash}>{one.hash.slice(0, 12)}</td>
              <td class="id">{one.tree}</td>
              <td>
                <Author by={one.by} />, <Age at={one.at} /> ago
              </td>
              <td>
                {declaredText(one)}
              </td>
              <td>{testedOf(one)}</td>
              <td>
                {one.holders.length === 0 ? "nobody" : one.holders.map((pid) => (
                  <span key={pid}>
                    <Pid pid={pid} />
                    {" "}
                  </span>
                ))}
              </td>
            </tr>
          ))}
        </Table>
      )}
      <Rest list={list} />
    </Page>
  );
}

function Author({ by }: { readonly by: string }): JSX.Element {
  return by.startsWith("p_") ? <Pid pid={by} /> : <>{visible(by)}</>;
}

function testedOf({ tested }: ToolView): string {
  return tested === null ? "none" : `${tested.passed} passed, ${tested.failed} failed`;
}

function One({ hash, who }: { readonly hash: string; readonly who: Who }): JSX.Element {
  const [isRevoking, setRevoking] = useState(false);
  const { data, error, again } = useRead<ToolView>(
    `/v1/tools/${encodeURIComponent(hash)}`,
    ({ kind, summary }) =>
      kind === "tool.registered" || (kind === "syscall.result" && summary["name"] === "tool.call"),
  );
  return (
    <Page title={data === undefined ? "Tool" : `Tool ${visible(data.name)}`}>
      {error !== undefined && <Problem error={error} />}
      {data !== undefined && (
        <>
          <Facts facts={factsOf(data)} />
          <Observed tool={data} />
          <Runs tool={data} />
          <Source key={hash} tool={data} />
          <section aria-labelledby="revoke">
            <h2 id="revoke">Take it back</h2>
            {data.revoked === null
              ? (
                <Only who={who} role="operator" what="Revoking tools">
                  <button type="button" class="no" onClick={() => setRevoking(true)}>
                    Revoke this version
                  </button>
                </Only>
              )
              : <p>It is revoked, for good.</p>}
          </section>
          {isRevoking && <RevokeTool tool={data} close={() => setRevoking(false)} done={again} />}
        </>
      )}
    </Page>
  );
}

function factsOf(tool: ToolView): Parameters<typeof Facts>[0]["facts"] {
  const { revoked, reviewedBy } = tool;
  return {
    "SHA-256": <span class="id">{tool.hash}</span>,
    "Says": <Claimed text={tool.description} />,
    "Tree": <a href={withQuery("/view/audit", { tree: tool.tree, type: "tool" })}>{tool.tree}</a>,
    "Written by": <Author by={tool.by} />,
    "Reviewed by": reviewedBy === null ? "nobody" : visible(reviewedBy),
    "Tests": testedOf(tool),
    "Held by": tool.holders.length === 0 ? "nobody" : (
      <>
        {tool.holders.map((pid) => (
          <span key={pid}>
            <Pid pid={pid} />
            {" "}
          </span>
        ))}
      </>
    ),
    "Revoked": revoked !== null && (
      <>
        <Badge tone="deny">revoked</Badge> by {visible(revoked.by)}
        {revoked.reason !== "" && (
          <>
            : <Claimed text={revoked.reason} />
          </>
        )}
      </>
    ),
  };
}

interface SourceView {
  readonly source: string;
  readonly diff: string | null;
}

/** The source, and how it differs from another version. */
function Source({ tool }: { readonly tool: ToolView }): JSX.Element {
  const [against, setAgainst] = useState("");
  const { data, error } = useRead<SourceView>(
    withQuery(`/v1/tools/${tool.hash}/source`, { against }),
  );
  return (
    <section aria-labelledby="source">
      <h2 id="source">Source</h2>
      {tool.versions.length > 0 && (
        <Choice
          name="Compare with"
          value={against}
          set={setAgainst}
          options={[
            ["", "nothing"],
            ...tool.versions.map((hash) => [hash, hash.slice(0, 12)] as const),
          ]}
        />
      )}
      {error !== undefined && <Problem error={error} />}
      {data !== undefined && data.diff !== null && (
        <CodeDiff lines={linesOf(data.diff)} label="What differs" />
      )}
      {data !== undefined && <Code source={data.source} label={`Source of ${tool.name}`} />}
    </section>
  );
}

function linesOf(diff: string): DiffLine[] {
  if (diff === "") return [];
  return diff.split("\n").map((line) => ({
    mark: line.startsWith("+") ? "+" : line.startsWith("-") ? "-" : " ",
    text: line === "…" ? line : line.slice(2),
  }));
}

function RevokeTool({ tool, close, done }: {
  readonly tool: ToolView;
  readonly close: () => void;
  readonly done: () => void;
}): JSX.Element {
  const act = useAct();
  const [reason, setReason] = useState("");
  const [word, setWord] = useState("");
  const short = tool.hash.slice(0, 12);
  const revoke = async (): Promise<void> => {
    await send("POST", `/v1/tools/${tool.hash}/revoke`, { reason });
    done();
    close();
  };
  return (
    <Dialog title={`Revoke ${visible(tool.name)}`} close={close}>
      <p>
        {tool.holders.length === 0
          ? "Nobody holds this version."
          : `${tool.holders.length} processes lose it: ${tool.holders.join(", ")}.`}{" "}
        Runs of it stop, and nobody can register it again.
      </p>
      <Form act={act} send={revoke} button="Revoke" tone="no" disabled={word !== short}>
        <TextField name="Why, for the log" value={reason} set={setReason} />
        <TypedWord word={short} value={word} set={setWord} />
      </Form>
    </Dialog>
  );
}

function declaredText({ declared }: ToolView): string {
  if (declared.length === 0) return "only its input";
  return `${declared.length} ${declared.length === 1 ? "right" : "rights"}`;
}
