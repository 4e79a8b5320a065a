/**
 * Decided requests: who said what to what, how far it reached, and what became of it.
 * @module
 */

import type { JSX } from "preact";
import type { DecidedRequestView } from "../../schema/decided.ts";
import { Choice, TextField } from "../forms.tsx";
import { Badge, Rest, TreeChoice } from "../lists.tsx";
import { useFilters, usePages, withQuery } from "../paged.ts";
import type { PageProps } from "../pages.ts";
import { Age, Claimed, Empty, Page, Pid } from "../parts.tsx";
import { Risk } from "../request_card.tsx";
import { timeOf, visible } from "../words.ts";

type Gave = DecidedRequestView["gave"][number];

const WORDS = {
  approve: "approved",
  edit: "approved with other arguments",
  deny: "denied",
  answer: "answered",
  expired: "not answered in time",
} as const;
const TONES = { approve: "allow", edit: "allow", deny: "deny", answer: "calm", expired: "ask" };
const KINDS = ["permission", "review", "budget", "question", "doubt", "notice"] as const;
const FILTERS = ["tree", "words", "outcome", "by", "kind"] as const;

/** The page. */
export function DecidedPage({ place }: PageProps): JSX.Element {
  const [of, set] = useFilters(place);
  const list = usePages<DecidedRequestView, { readonly unread: number }>(
    withQuery("/v1/decisions", Object.fromEntries(FILTERS.map((name) => [name, of(name)]))),
    ({ kind }) => kind === "approval.decided" || kind === "syscall.result",
  );
  const field = (name: string) => ({ value: of(name), set: (value: string) => set(name, value) });
  const unread = list.last?.unread ?? 0;
  return (
    <Page title="Decided">
      <div class="filters" role="search" aria-label="Which decisions">
        <TextField name="Find" sample="file.write ada" isFilter {...field("words")} />
        <Choice
          name="Outcome"
          {...field("outcome")}
          options={[["", "all"], ...Object.entries(WORDS)]}
        />
        <Choice
          name="Kind"
          {...field("kind")}
          options={[["", "all"], ...KINDS.map((one) => [one, one] as const)]}
        />
        <TextField name="Decided by" sample="ada" {...field("by")} />
        <TreeChoice {...field("tree")} />
      </div>
      {unread > 0 && (
        <p class="notice" role="status">
          {unread} {unread === 1 ? "tree is" : "trees are"} not read to the end yet.{" "}
          <button type="button" onClick={list.again}>Read on</button>
        </p>
      )}
      {list.items?.length === 0 && (
        <Empty command="libos approvals">Nothing that fits was decided so far.</Empty>
      )}
      {list.items !== undefined && list.items.length > 0 && (
        <ul class="decided" aria-label="Decisions, the latest first">
          {list.items.map((one) => <Row key={one.id} one={one} />)}
        </ul>
      )}
      <Rest list={list} />
    </Page>
  );
}

function Row({ one }: { readonly one: DecidedRequestView }): JSX.Element {
  const { id, tree, pid, kind, what, risk, outcome, by, agreed, at, seq } = one;
  return (
    <li class="card">
      <p class="top">
        <Badge tone={TONES[outcome]}>{WORDS[outcome]}</Badge>
        <span>
          {by === null ? "nobody said anything" : `by ${visible(by)}`}
          {agreed !== null && `, after ${visible(agreed)}`}
        </span>
        <span class="dim">
          <time dateTime={at} title={at}>{timeOf(at)}</time>, <Age at={at} /> ago
        </span>
      </p>
      <p class="what">
        <code>
          <Claimed text={what} max={300} />
        </code>
      </p>
      <Reach one={one} />
      <p class="dim top">
        <Risk risk={risk} /> {kind} of <Pid pid={pid} isRow />
        <a class="id" href={withQuery("/view/audit", { tree, line: seq })}>{id}, line {seq}</a>
      </p>
    </li>
  );
}

/** How far it went, what was said with it, and what it gave. */
function Reach({ one }: { readonly one: DecidedRequestView }): JSX.Element {
  const { scope, pattern, note, stopped, gave, rule } = one;
  return (
    <ul class="plain">
      {scope !== null && (
        <li>
          {scope === "once" ? "for this call, once" : `for ${scope}`}
          {pattern !== null && (
            <>
              : <code>{visible(pattern)}</code>
            </>
          )}
        </li>
      )}
      {gave.map((each) => (
        <li key={each.id}>
          <span class="id">{each.id}</span> to <Pid pid={each.holder} />: {becameText(each)}
        </li>
      ))}
      {rule !== null && (
        <li>
          Put into the policy: <code>{visible(rule)}</code>
        </li>
      )}
      {note !== null && (
        <li>
          “<Claimed text={note} max={500} />”
        </li>
      )}
      {stopped && <li>Who asked was stopped, too.</li>}
    </ul>
  );
}

function becameText({ state, calls, usesMax, expiresAt }: Gave): string {
  const times = calls === 0
    ? "never used"
    : `let ${calls} ${calls === 1 ? "call" : "calls"} through`;
  const until = expiresAt === null ? "" : ` ${new Date(expiresAt).toLocaleString()}`;
  const words = {
    holds: `holds${until === "" ? "" : ` until${until}`}`,
    used: usesMax === 1 ? "used" : `all ${usesMax} uses spent`,
    expired: `expired${until}`,
    revoked: "revoked",
    gone: "gone with its holder",
  };
  return `${words[state]}, ${times}`;
}
