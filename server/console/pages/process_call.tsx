/**
 * What there is to know of one bar of a timeline: a call's story, its arguments and its result; the
 * request that a person was asked with; the process that was started.
 * @module
 */

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { z } from "@hono/zod-openapi";
import type { callShape, EventView, storyShape } from "../../schema/evidence.ts";
import type { ProcessView } from "../../schema/process.ts";
import { may, type Who } from "../api.ts";
import { useRead } from "../live.ts";
import { Block, Claimed, Pid, Problem } from "../parts.tsx";
import { pathTo } from "../route.ts";
import type { Placed } from "../timeline.ts";
import { spanOf, timeOf } from "../words.ts";

/** The panel beside a timeline. */
export function CallPanel({ process, who, chosen, close }: {
  readonly process: ProcessView;
  readonly who: Who;
  readonly chosen: Placed;
  readonly close: () => void;
}): JSX.Element {
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => head.current?.focus(), []);
  const { lane, bar } = chosen;
  return (
    <aside
      class="panel"
      aria-label={`Line ${bar.seq}`}
      onKeyDown={(event) => event.key === "Escape" && close()}
    >
      <div class="row">
        <h2 tabIndex={-1} ref={head}>
          <Claimed text={bar.name} max={200} />
        </h2>
        <span class={`badge ${bar.decision}`}>{bar.decision}</span>
        <button type="button" class="quiet" aria-label="Close" onClick={close}>✕</button>
      </div>
      <p class="dim">
        Line {bar.seq} of {process.tree} at {timeOf(bar.from)}
        {bar.to !== null && `, took ${spanOf(Date.parse(bar.to) - Date.parse(bar.from))}`}
      </p>
      {bar.resource !== "" && (
        <p>
          <Claimed text={bar.resource} max={500} />
        </p>
      )}
      {lane === "children" && (
        <p>
          It started <Pid pid={bar.name} />.
        </p>
      )}
      {lane === "people" && <Asked process={process} seq={bar.seq} />}
      {(lane === "model" || lane === "syscalls" || lane === "tools") && (
        <Called path={`/v1/calls/${process.tree}/${bar.seq}`} mayRead={may(who, "operator")} />
      )}
    </aside>
  );
}

function Called({ path, mayRead }: {
  readonly path: string;
  readonly mayRead: boolean;
}): JSX.Element {
  const story = useRead<z.infer<typeof storyShape>>(`${path}/story`);
  const call = useRead<z.infer<typeof callShape>>(mayRead ? `${path}?reveal=true` : null);
  return (
    <>
      {story.error !== undefined && <Problem error={story.error} />}
      {story.data !== undefined && (
        <>
          <h3>Why</h3>
          <ul>
            {story.data.story.map((sentence, i) => (
              <li key={i}>
                <Claimed text={sentence} />
              </li>
            ))}
          </ul>
          {story.data.rule?.startsWith("sink ") && (
            <p class="notice">
              A sink decided: it says how secret and how untrusted a caller may have become by what
              it read. What this one had seen stands above, with where it came from.
            </p>
          )}
          {story.data.rule !== null && (
            <p>
              Rule{" "}
              <code>
                <Claimed text={story.data.rule} max={500} />
              </code>
            </p>
          )}
          {story.data.chain.length > 0 && (
            <p>
              By {story.data.chain.map(({ id, via, by }, i) => (
                <span key={id}>
                  {i > 0 && " ⊂ "}
                  <span class="id">{id}</span> ({via}, {by})
                </span>
              ))}
            </p>
          )}
          {story.data.request !== null && (
            <p>
              Request{" "}
              <a class="id" href={pathTo.request(story.data.request)}>{story.data.request}</a>
            </p>
          )}
        </>
      )}
      {call.error !== undefined && <Problem error={call.error} />}
      {call.data !== undefined && (
        <>
          <h3>Arguments</h3>
          <Block label="Arguments" text={textOf(call.data.args)} />
          <h3>{call.data.ok === false ? `Failed: ${call.data.code}` : "Result"}</h3>
          {call.data.ok === null
            ? <p class="dim">There is none yet.</p>
            : <Block label="Result" text={textOf(call.data.result)} />}
        </>
      )}
      {!mayRead && <p class="dim">An operator sees its arguments and its result.</p>}
    </>
  );
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function Asked({ process, seq }: {
  readonly process: ProcessView;
  readonly seq: number;
}): JSX.Element {
  const { data, error } = useRead<{ items: EventView[] }>(
    `/v1/trees/${process.tree}/events?from=${seq}&limit=1`,
  );
  const line = data?.items[0];
  const request = /\breq_\d+\.\d+\b/.exec(line?.text ?? "")?.[0];
  return (
    <>
      {error !== undefined && <Problem error={error} />}
      {line !== undefined && (
        <p>
          <Claimed text={line.text} />
        </p>
      )}
      {request !== undefined && (
        <p>
          Request <a class="id" href={pathTo.request(request)}>{request}</a>
        </p>
      )}
    </>
  );
}
