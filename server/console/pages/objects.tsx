/**
 * Objects: what there is, where it comes from, and its content for who may look.
 * @module
 */

import type { JSX } from "preact";
import type { ObjectView } from "../../schema/memory.ts";
import { TextField, Tick } from "../forms.tsx";
import { Label, LabelInWords } from "../label.tsx";
import { Badge, Facts, Rest, Table, TreeChoice } from "../lists.tsx";
import { useRead } from "../live.ts";
import { useFilters, usePages, withQuery } from "../paged.ts";
import type { PageProps } from "../pages.ts";
import { Age, Empty, Page, Pid, Problem } from "../parts.tsx";
import { pathTo } from "../route.ts";
import { Versions } from "../versions.tsx";
import { countOf, visible } from "../words.ts";

/** The pages: all, and one. */
export function Objects(props: PageProps): JSX.Element {
  const id = props.place.path[2];
  return id === undefined ? <List {...props} /> : <One key={id} id={id} who={props.who} />;
}

function List({ place }: PageProps): JSX.Element {
  const [of, set] = useFilters(place);
  const names = ["tree", "pid", "name", "type", "deleted"];
  const query = Object.fromEntries(names.map((name) => [name, of(name)]));
  const list = usePages<ObjectView>(
    withQuery("/v1/objects", query),
    ({ kind }) => kind === "object.version",
  );
  const text = (name: string, word: string, sample: string): JSX.Element => (
    <TextField
      name={word}
      sample={sample}
      value={of(name)}
      set={(value) => set(name, value)}
    />
  );
  return (
    <Page title="Objects">
      <div class="filters" role="search" aria-label="Which objects">
        <TreeChoice value={of("tree")} set={(value) => set("tree", value)} />
        {text("pid", "Process", "p_1")}
        {text("name", "Name", "notes/")}
        {text("type", "Type", "text")}
        <Tick
          name="Deleted ones too"
          value={of("deleted") === "true"}
          set={(value) => set("deleted", value ? "true" : "")}
        />
      </div>
      {list.items?.length === 0 && (
        <Empty command="libos objects ls">
          No object fits. Agents make them by <code>object.create</code>.
        </Empty>
      )}
      {list.items !== undefined && list.items.length > 0 && <Rows items={list.items} />}
      <Rest list={list} />
    </Page>
  );
}

function Rows({ items }: { readonly items: readonly ObjectView[] }): JSX.Element {
  return (
    <Table
      label="Objects"
      heads={["Name", "Id", "Type", "Version", "Bytes", "Owner", "Label", "Written"]}
    >
      {items.map((one) => (
        <tr key={one.id}>
          <td>
            <a href={pathTo.object(one.id)}>{visible(one.name)}</a>
            {one.deleted && <Badge tone="deny">deleted</Badge>}
          </td>
          <td class="id">{one.id}</td>
          <td>{visible(one.type)}</td>
          <td>{one.list ? `${one.items} items` : one.version}</td>
          <td>{one.bytes === null ? "–" : countOf(one.bytes)}</td>
          <td>
            <Pid pid={one.owner} />
          </td>
          <td>
            <Label label={one.label} />
          </td>
          <td>
            <Age at={one.at} /> ago
          </td>
        </tr>
      ))}
    </Table>
  );
}

function One({ id, who }: { readonly id: string; readonly who: PageProps["who"] }): JSX.Element {
  const { data, error } = useRead<ObjectView>(
    `/v1/objects/${encodeURIComponent(id)}`,
    ({ kind, summary }) => kind === "object.version" && summary["id"] === id,
  );
  return (
    <Page title={`Object ${id}`}>
      {error !== undefined && <Problem error={error} />}
      {data !== undefined && (
        <>
          <Facts facts={factsOf(data)} />
          <Versions object={data} who={who} />
        </>
      )}
    </Page>
  );
}

function factsOf(one: ObjectView): Parameters<typeof Facts>[0]["facts"] {
  const { from, links } = one;
  return {
    "Name": <code>{visible(one.name)}</code>,
    "Type": visible(one.type),
    "Kind": one.list ? "list" : one.mutable ? "may change" : "never changes",
    "Owner": <Pid pid={one.owner} />,
    "Tree": <a href={withQuery("/view/audit", { tree: one.tree })}>{one.tree}</a>,
    "Label": <LabelInWords label={one.label} />,
    "Deleted": one.deleted ? "yes; its versions stay in the log" : "no",
    "Written by": <a class="id" href={pathTo.process(from.pid)}>{visible(from.call)}</a>,
    "Made from": from.sources.length === 0 ? "nothing else" : <Names names={from.sources} />,
    "Links": links.length === 0 ? "none" : (
      <ul class="plain">
        {links.map(({ relation, to }) => (
          <li key={`${relation} ${to}`}>
            {visible(relation)} <a class="id" href={pathTo.object(to)}>{to}</a>
          </li>
        ))}
      </ul>
    ),
  };
}

function Names({ names }: { readonly names: readonly string[] }): JSX.Element {
  return (
    <>
      {names.map((name) => {
        const object = /^(obj_[1-9]\d*\.[1-9]\d*)(?:@|$)/.exec(name)?.[1];
        return (
          <span key={name}>
            {object === undefined
              ? visible(name)
              : <a class="id" href={pathTo.object(object)}>{visible(name)}</a>}
            {" "}
          </span>
        );
      })}
    </>
  );
}
