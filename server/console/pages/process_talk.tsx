/**
 * What a process and its model said to each other, as it is written; and a message to the process.
 * @module
 */

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { z } from "@hono/zod-openapi";
import type { turnShape } from "../../schema/evidence.ts";
import type { ProcessView } from "../../schema/process.ts";
import { type ApiError, may, problemIn, send, type Who } from "../api.ts";
import { useEvents, useRead } from "../live.ts";
import { Claimed, Empty, Problem } from "../parts.tsx";
import { isOver } from "../steer.tsx";
import { visible } from "../words.ts";

type Turn = z.infer<typeof turnShape>;

/** Reading a conversation is a line of the log, so it is not read at every event. */
const READ_MS = 1_500;
const TEXT_MAX = 20_000;

/** The conversation. */
export function Conversation({ process, who }: {
  readonly process: ProcessView;
  readonly who: Who;
}): JSX.Element {
  const { pid } = process;
  const mayRead = may(who, "operator");
  const { data, error } = useRead<{ items: Turn[]; more: number }>(
    mayRead ? `/v1/processes/${pid}/conversation` : null,
    (event) => event.pid === pid && event.kind === "object.version",
    READ_MS,
  );
  const text = useWriting(pid, data?.items);
  return (
    <section aria-label="Conversation">
      {!mayRead && (
        <p class="dim">
          An operator can read what was said so far. What its model writes from now on is shown.
        </p>
      )}
      {error !== undefined && <Problem error={error} />}
      {data !== undefined && data.more > 0 && (
        <p class="dim">{data.more} earlier turns are not shown.</p>
      )}
      <ol class="turns">
        {data?.items.map((turn, i) => <Said key={turn.seq ?? i} turn={turn} />)}
        {text !== "" && (
          <li class="turn assistant writing">
            <strong>writing</strong>
            <Claimed text={text} max={TEXT_MAX} />
          </li>
        )}
      </ol>
      {data?.items.length === 0 && text === "" && (
        <Empty>Nothing was said. A process without a model has no conversation.</Empty>
      )}
      <Composer process={process} who={who} />
    </section>
  );
}

/** What a model is writing, until it stands in the conversation. */
function useWriting(pid: string, turns: readonly Turn[] | undefined): string {
  const [text, setText] = useState("");
  const written = useRef("");
  const frame = useRef(0);
  const show = (): void => {
    // Words come faster than frames.
    cancelAnimationFrame(frame.current);
    frame.current = requestAnimationFrame(() => setText(written.current));
  };
  useEvents((event) => {
    if (event?.pid !== pid) return;
    if (event.kind === "process.text") written.current += String(event.summary.text);
    else if (event.kind === "model.call" && event.summary.ok === undefined) written.current = "";
    else return;
    show();
  });
  useEffect(() => {
    const last = turns?.findLast(({ role }) => role === "assistant");
    if (last === undefined || last.text.trim() !== written.current.trim()) return;
    written.current = "";
    setText("");
  }, [turns]);
  useEffect(() => () => cancelAnimationFrame(frame.current), []);
  return text;
}

function Said({ turn: { role, text, calls } }: { readonly turn: Turn }): JSX.Element {
  return (
    <li class={`turn ${role}`}>
      <strong>{role}</strong>
      {text !== "" && <Claimed text={text} max={TEXT_MAX} />}
      {calls.map(({ id, name, input }) => (
        <code key={id} class="claimed">
          → {visible(name)}({visible(JSON.stringify(input).slice(0, 2_000))})
        </code>
      ))}
    </li>
  );
}

function Composer({ process, who }: {
  readonly process: ProcessView;
  readonly who: Who;
}): JSX.Element | null {
  const [text, setText] = useState("");
  const [interrupt, setInterrupt] = useState(false);
  const [said, say] = useState("");
  const [error, setError] = useState<ApiError | undefined>();
  const form = useRef<HTMLFormElement>(null);
  if (isOver(process) || !may(who, "operator")) return null;
  const submit = (event: Event): void => {
    event.preventDefault();
    if (text.trim() === "") return;
    setError(undefined);
    send("POST", `/v1/processes/${process.pid}/messages`, { data: text, interrupt }).then(() => {
      // What was written meanwhile is another message.
      setText((now) => now === text ? "" : now);
      say("Sent");
    }, (thrown) => setError(problemIn(thrown)));
  };
  return (
    <form class="composer" onSubmit={submit} ref={form}>
      <label class="field">
        Message to {process.pid}
        <textarea
          rows={3}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            say("");
          }}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
          }}
        />
      </label>
      <div class="row">
        <button type="submit">Send</button>
        <label class="check">
          <input
            type="checkbox"
            checked={interrupt}
            onChange={(event) => setInterrupt(event.currentTarget.checked)}
          />
          interrupt what it waits for
        </label>
        <span class="dim" role="status">{said}</span>
      </div>
      {error !== undefined && <Problem error={error} />}
    </form>
  );
}
