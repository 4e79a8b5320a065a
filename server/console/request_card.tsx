/**
 * A request's card: who asks, for what, why, and because of which rule.
 * @module
 */

import type { JSX } from "preact";
import type { RequestView } from "../schema/request.ts";
import { Age, Block, Claimed, Pid, useNow } from "./parts.tsx";
import { JsonDiff, Preview } from "./preview.tsx";
import { exactJson, untilText } from "./request_text.ts";
import type { Over } from "./requests.ts";
import { pathTo } from "./route.ts";
import { visible } from "./words.ts";

/** A risk as a badge, with its word. */
export function Risk({ risk }: Pick<RequestView, "risk">): JSX.Element {
  const tone = risk === "low" ? "calm" : risk === "medium" ? "ask" : "deny";
  return <span class={`badge ${tone}`}>{risk}</span>;
}

/** How long somebody has to answer. */
export function Countdown({ at }: { readonly at: string | null }): JSX.Element {
  const now = useNow();
  const text = untilText(at, now);
  if (text === null) return <span>never expires</span>;
  return <time dateTime={at!} title={at!}>{text === "over" ? "expired" : `expires ${text}`}</time>;
}

/** How a request ended, for who has it open. */
export function overText({ outcome, by }: Over): string {
  if (outcome === "expired") return "Expired: nobody answered in time, which was a no.";
  if (outcome === "over") return "Over: answered or withdrawn, and its asker has heard.";
  const words: Readonly<Record<string, string>> = {
    approve: "approved",
    deny: "denied",
    edit: "approved with other arguments",
    answer: "answered",
  };
  return `Decided by ${by ?? "somebody"}: ${words[outcome] ?? outcome}.`;
}

/** All that is known about a request. */
export function Facts({ view }: { readonly view: RequestView }): JSX.Element {
  return (
    <>
      <Who view={view} />
      <What view={view} />
      <Preview view={view} />
    </>
  );
}

function Who({ view }: { readonly view: RequestView }): JSX.Element {
  const { pid, lineage, image, goal, owner, tool, askers, who } = view;
  return (
    <dl class="known">
      <dt>Who asks</dt>
      <dd>
        {lineage.map((one, i) => (
          <span key={one}>
            {i > 0 && <span aria-hidden="true" class="dim sep">›</span>}
            {one === pid
              ? (
                <strong>
                  <Pid pid={one} />
                </strong>
              )
              : <Pid pid={one} />}
          </span>
        ))} <span class="dim">{visible(image)}, started by {visible(owner)}</span>
        {askers.length > 1 && <div>the same is asked by {askers.length}: {askers.join(", ")}</div>}
      </dd>
      {tool !== null && (
        <>
          <dt>In a tool</dt>
          <dd>
            generated tool <Claimed text={tool.name} />{" "}
            <a class="id" href={pathTo.tool(tool.hash)}>{tool.hash.slice(0, 12)}</a>
          </dd>
        </>
      )}
      <dt>Its goal</dt>
      <dd>
        <Goal text={goal} />
      </dd>
      {who !== null && (
        <>
          <dt>Wants</dt>
          <dd>
            <Claimed text={who} /> <span class="dim">(in its own words)</span>
          </dd>
        </>
      )}
    </dl>
  );
}

const LINE = 200;

function Goal({ text }: { readonly text: string }): JSX.Element {
  // What scrolls has to be reachable by keyboard.
  return text.length > LINE || text.includes("\n")
    ? <Block text={text} label="Its goal" />
    : <Claimed text={text} />;
}

function What({ view }: { readonly view: RequestView }): JSX.Element {
  const { kind, call, prompt } = view;
  const says = call === null || prompt !== `${call.right}(${call.resource})`;
  return (
    <>
      {says && (
        <section aria-label="Why">
          <h2>
            {call === null ? "What it says" : "Why"}{" "}
            <span class="badge">
              {kind === "doubt" ? "said by the kernel" : "claimed by the agent"}
            </span>
          </h2>
          <Block
            text={prompt}
            label={kind === "doubt" ? "What the kernel says" : "What the agent says"}
          />
        </section>
      )}
      {call !== null && (
        <section aria-label="What">
          <h2>{visible(call.name)}</h2>
          {exactJson(call.args) === "{}"
            ? <p>It has no arguments but what it is about.</p>
            : <Block text={exactJson(call.args)} label="Arguments, exactly" />}
          <p class="dim hash">
            bound to these arguments:{" "}
            <code title={call.argsHash}>{call.argsHash.slice(0, 16)}</code>
          </p>
        </section>
      )}
      <Known view={view} />
    </>
  );
}

/** Why it is asked, how others were answered, since when, and how many have to agree. */
function Known({ view }: { readonly view: RequestView }): JSX.Element {
  const { because, similar, createdAt, people } = view;
  return (
    <dl class="known">
      {because !== null && (
        <>
          <dt>Because of</dt>
          <dd>
            <code class="claimed">{visible(because)}</code>
          </dd>
        </>
      )}
      {similar !== null && (
        <>
          <dt>Others like it</dt>
          <dd>
            {similar.approved} approved, {similar.denied} denied, of the latest in this tree
          </dd>
        </>
      )}
      <dt>Asked</dt>
      <dd>
        <Age at={createdAt} /> ago
      </dd>
      {people.needed > 1 && (
        <>
          <dt>People</dt>
          <dd>
            {people.needed} have to agree; {people.agreed.length === 0
              ? "nobody has yet"
              : `${people.agreed.map(visible).join(", ")} agreed`}
          </dd>
        </>
      )}
    </dl>
  );
}

/** A call that is another one than was shown, beside it. */
export function Changed({ before, now, review }: {
  readonly before: RequestView;
  readonly now: RequestView;
  readonly review: () => void;
}): JSX.Element {
  return (
    <section class="notice" role="alert" aria-label="The call changed">
      <p>
        <strong>The call changed, review it again.</strong>{" "}
        Nothing was answered. On the left is what you saw, on the right what is asked now.
      </p>
      <div class="beside">
        <Block text={textOf(before)} label="What you saw" />
        <Block text={textOf(now)} label="What is asked now" />
      </div>
      <JsonDiff
        before={before.call?.args ?? before.prompt}
        after={now.call?.args ?? now.prompt}
        label="What changed"
      />
      <p>
        <button type="button" onClick={review}>Review the new call</button>
      </p>
    </section>
  );
}

function textOf({ call, prompt }: RequestView): string {
  if (call === null) return prompt;
  return `${call.right}(${call.resource})\n${exactJson(call.args)}`;
}
