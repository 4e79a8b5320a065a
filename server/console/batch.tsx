/**
 * Several requests that are alike, answered together by one pattern that all of them match.
 * @module
 */

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { z } from "zod";
import { matchResource } from "../../kernel/grammar.ts";
import type { decidedAllShape, RequestView } from "../schema/request.ts";
import { type ApiError, problemIn, send } from "./api.ts";
import { Problem } from "./parts.tsx";
import { patternOver } from "./request_text.ts";
import { visible } from "./words.ts";

type DecidedAll = z.infer<typeof decidedAllShape>;

function covers(pattern: string, resource: string): boolean {
  try {
    return matchResource(pattern, resource);
  } catch {
    return false;
  }
}

/** Why several cannot be answered together; null where they can. */
function whyNot(all: readonly RequestView[], pattern: string | null): string | null {
  const rights = [...new Set(all.map(({ call }) => call?.right))];
  if (rights.length > 1) return `They ask for different rights: ${rights.join(", ")}`;
  if (pattern === null) return null;
  const outside = all.filter(({ call }) => !covers(pattern, call!.resource));
  return outside.length === 0
    ? null
    : `The pattern does not match ${outside.length} of them: ${outside[0]!.call!.resource}`;
}

/** The form. */
export function Batch({ all, clear }: {
  readonly all: readonly RequestView[];
  readonly clear: () => void;
}): JSX.Element {
  const at = useBatch(all);
  const right = all[0]!.call!.right;
  const why = whyNot(all, at.mode === "deny" ? null : at.pattern);
  return (
    <section aria-label="Answer several" class="batch">
      <h2>{all.length} selected</h2>
      <label class="field">
        One pattern that all of them match
        <span class="mono rule">
          <span>{visible(right)}(</span>
          <input
            value={at.pattern}
            aria-label="Pattern of resources"
            spellcheck={false}
            maxLength={1_024}
            onInput={(event) => at.write(event.currentTarget.value)}
          />
          <span>)</span>
        </span>
      </label>
      <h3>What it answers, each for this one call</h3>
      <ul class="answers">
        {all.map(({ id, pid, call }) => (
          <li key={id}>
            <span class="badge">
              {covers(at.pattern, call!.resource) ? "matches" : "does not match"}
            </span>{" "}
            <span class="id">{pid}</span> <span class="mono">{visible(call!.resource)}</span>{" "}
            {at.done !== null && <Became done={at.done} id={id} />}
          </li>
        ))}
      </ul>
      <div class="verdict">
        {at.error !== undefined && <Problem error={at.error} />}
        {why !== null && <p class="problem">{visible(why)}</p>}
        <Steps all={all} at={at} right={right} isBarred={why !== null} clear={clear} />
      </div>
    </section>
  );
}

function Became({ done, id }: {
  readonly done: DecidedAll["items"];
  readonly id: string;
}): JSX.Element | null {
  const item = done.find((one) => one.id === id);
  if (item === undefined) return null;
  return item.ok
    ? <span class="badge allow">answered</span>
    : <span class="badge deny">{item.code}: {visible(item.detail ?? "")}</span>;
}

interface Batching {
  readonly pattern: string;
  write(pattern: string): void;
  readonly mode: "look" | "sure" | "deny";
  setMode(mode: "look" | "sure" | "deny"): void;
  readonly reason: string;
  setReason(reason: string): void;
  readonly done: DecidedAll["items"] | null;
  readonly error: ApiError | undefined;
  readonly isBusy: boolean;
  say(decision: unknown): void;
}

function useBatch(all: readonly RequestView[]): Batching {
  const [written, write] = useState<string | null>(null);
  const [mode, setMode] = useState<Batching["mode"]>("look");
  const [reason, setReason] = useState("");
  const [done, setDone] = useState<DecidedAll["items"] | null>(null);
  const [error, setError] = useState<ApiError | undefined>();
  const [isBusy, setBusy] = useState(false);
  // Another selection is another question.
  useEffect(() => setMode("look"), [all.map(({ id }) => id).join()]);
  const say = (decision: unknown): void => {
    if (isBusy) return;
    setBusy(true);
    setError(undefined);
    const items = all.map(({ id, call, askers }) => ({
      id,
      argsHash: call!.argsHash,
      askers: askers.length,
    }));
    send<DecidedAll>("POST", "/v1/approvals/decide", { items, decision })
      .then(({ items }) => setDone(items), (thrown) => setError(problemIn(thrown)))
      .finally(() => setBusy(false));
  };
  const pattern = written ?? patternOver(all.map(({ call }) => call!.resource));
  return { pattern, write, mode, setMode, reason, setReason, done, error, isBusy, say };
}

function Steps({ all, at, right, isBarred, clear }: {
  readonly all: readonly RequestView[];
  readonly at: Batching;
  readonly right: string;
  readonly isBarred: boolean;
  readonly clear: () => void;
}): JSX.Element {
  const sure = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    if (at.mode === "sure") sure.current?.focus();
  }, [at.mode]);
  if (at.done !== null) {
    return (
      <p class="buttons">
        <button type="button" onClick={clear}>Done</button>
      </p>
    );
  }
  if (at.mode === "look") {
    return (
      <p class="buttons">
        <button
          type="button"
          class="yes"
          disabled={isBarred}
          onClick={() => at.setMode("sure")}
        >
          Approve these {all.length}…
        </button>
        <button type="button" class="no" onClick={() => at.setMode("deny")}>
          Deny these {all.length}…
        </button>
        <button type="button" onClick={clear}>Select none</button>
      </p>
    );
  }
  const decision = at.mode === "sure"
    ? { outcome: "approve", resource: at.pattern }
    : { outcome: "deny", ...(at.reason.trim() === "" ? {} : { reason: at.reason.trim() }) };
  return (
    <>
      {at.mode === "sure" && (
        <p ref={sure} tabIndex={-1} class="sure">
          {all.length} calls are let through, once each:{" "}
          <code class="claimed">{visible(`${right}(${at.pattern})`)}</code>. Nothing else is.
        </p>
      )}
      {at.mode === "deny" && (
        <label class="field">
          Reason, which the agents are told
          <textarea
            rows={2}
            value={at.reason}
            onInput={(event) => at.setReason(event.currentTarget.value)}
          />
        </label>
      )}
      <p class="buttons">
        <button type="button" onClick={() => at.setMode("look")}>Back</button>
        <button
          type="button"
          class={at.mode === "sure" ? "yes" : "no"}
          disabled={isBarred}
          aria-disabled={at.isBusy}
          onClick={() => at.say(decision)}
        >
          {at.mode === "sure" ? `Yes, approve these ${all.length}` : `Deny these ${all.length}`}
        </button>
      </p>
    </>
  );
}
