/**
 * Deciding a request: approve, edit, deny, stop, answer.
 *
 * Invariants:
 *   D1. A decision is bound to the call that is shown: its hash goes with it.
 *   D2. Nothing wider than once is given by one key or one click.
 *   D3. No key that is typed into a field decides anything.
 * @module
 */

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { z } from "zod";
import type { decidedShape, DecideInput, RequestView } from "../schema/request.ts";
import { ApiError, send, type Who } from "./api.ts";
import { approvalOf, GrantForm, type Granting, GrantInWords, useGrant } from "./grant_form.tsx";
import { Problem } from "./parts.tsx";
import { type Reply, useAnswer, useDoubt, useLess, useOtherArgs } from "./reply_form.tsx";
import { visible } from "./words.ts";

type Said = DecideInput["decision"];
/** What a decision did. */
export type DecidedView = z.infer<typeof decidedShape>;

/** What a key asks for; `count` tells one press from the next. */
export interface Wish {
  readonly key: "a" | "A" | "d" | "e";
  readonly count: number;
}

type Mode = "look" | "edit" | "deny" | "stop" | "sure";

interface Props {
  readonly view: RequestView;
  readonly who: Who;
  readonly wish: Wish | null;
  readonly decided: (done: DecidedView) => void;
  /** Something else stands there by now: it has to be read again. */
  readonly again: () => void;
}

/** Why somebody cannot decide; null for who can. */
export function barOf({ owner, people, status, mayDecide }: RequestView, who: Who): string | null {
  if (status !== "pending") return "It is decided.";
  if (people.agreed.includes(who.name)) return "You agreed already. Somebody else has to, too.";
  if (mayDecide) return null;
  if (who.role === "viewer") return "Your role is viewer. An approver decides.";
  return owner === who.name ? ownText(owner) : "You may not decide it.";
}

function ownText(owner: string): string {
  return `It is your own: "${owner}" started this tree. Any other approver, operator or admin ` +
    "may decide it; `libos token create --role approver` makes one.";
}

/** The decision on one request. */
export function Decision(props: Props): JSX.Element {
  const { view, who, wish } = props;
  const at = useDecision(props);
  const section = useRef<HTMLElement>(null);
  useFocus(section, wish, at);
  const bar = barOf(view, who);
  if (bar !== null) {
    return (
      <section class="verdict" aria-label="Decision">
        <p class="notice">{visible(bar)}</p>
      </section>
    );
  }
  return (
    <section ref={section} class="decision" aria-label="Decision">
      <Forms view={view} at={at} />
      <div class="verdict">
        {at.error !== undefined && <Refused error={at.error} view={view} />}
        {at.mode === "deny" || at.mode === "stop" ? <Reason at={at} /> : null}
        {at.mode === "sure" && (
          <div class="sure" data-mode="sure" tabIndex={-1} role="group" aria-label="Once more">
            <GrantInWords view={view} given={at.granting} />
          </div>
        )}
        <Buttons view={view} at={at} />
      </div>
    </section>
  );
}

/** A decision under way. */
interface Deciding {
  readonly mode: Mode;
  setMode(mode: Mode): void;
  readonly granting: Granting;
  readonly edited: Reply;
  readonly answer: Reply;
  readonly reason: string;
  setReason(reason: string): void;
  readonly isBusy: boolean;
  readonly error: ApiError | undefined;
  say(decision: Said): void;
}

function useDecision({ view, decided, again }: Props): Deciding {
  const [mode, setMode] = useState<Mode>("look");
  const [reason, setReason] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | undefined>();
  const granting = useGrant(view);
  const [question, doubt, less, args] = [
    useAnswer(view),
    useDoubt(view),
    useLess(view),
    useOtherArgs(view),
  ];
  const say = (decision: Said): void => {
    if (isBusy) return;
    setBusy(true);
    setError(undefined);
    const askers = view.askers.length;
    const body = { decision, askers, ...(view.call && { argsHash: view.call.argsHash }) };
    send<DecidedView>("POST", `/v1/approvals/${view.id}/decision`, body).then(decided, (thrown) => {
      setError(thrown instanceof ApiError ? thrown : lost());
      setBusy(false);
      setMode((now) => now === "sure" ? "look" : now);
      again();
    });
  };
  return {
    mode,
    setMode: (next) => {
      setError(undefined);
      setMode(next);
    },
    granting,
    edited: view.kind === "budget" ? less : args,
    answer: view.kind === "doubt" ? doubt : question,
    reason,
    setReason,
    isBusy,
    error,
    say,
  };
}

function lost(): ApiError {
  const detail = "The server is not there. Nothing is known of the answer: look again";
  return new ApiError({ detail, status: 0, code: "EIO" });
}

/** Brings the focus to where a key or a button leads; decides nothing. */
function useFocus(
  section: { readonly current: HTMLElement | null },
  wish: Wish | null,
  at: Pick<Deciding, "mode" | "setMode">,
): void {
  const before = useRef({ mode: at.mode, count: wish?.count });
  useEffect(() => {
    const { mode, count } = before.current;
    before.current = { mode: at.mode, count: wish?.count };
    if (wish !== null && count !== wish.count) {
      const wanted = wish.key === "d" ? "deny" : wish.key === "e" ? "edit" : "look";
      at.setMode(wanted);
      // Once it is there, it comes here again.
      if (wanted !== at.mode) return;
    } else if (mode === at.mode) return;
    const places = at.mode === "look"
      ? [wish?.key === "A" ? ".scopes input:checked" : "[data-yes]:enabled", FIELD]
      : [`[data-mode="${at.mode}"]`];
    const found = places.map((one) => section.current?.querySelector<HTMLElement>(one))
      .find((one) => one !== null);
    (found?.matches("div.form") ? found.querySelector<HTMLElement>(FIELD) : found)?.focus();
  }, [at.mode, wish?.count]);
}

const FIELD = "input, textarea, select";

function Forms({ view, at }: {
  readonly view: RequestView;
  readonly at: Deciding;
}): JSX.Element | null {
  const { kind } = view;
  if (at.mode === "edit") return <div data-mode="edit" class="form">{at.edited.form}</div>;
  if (kind === "question" || kind === "doubt") return <div class="form">{at.answer.form}</div>;
  if (kind === "permission" || kind === "review") {
    return (
      <div class="form">
        <GrantForm view={view} given={at.granting} />
      </div>
    );
  }
  return null;
}

function Reason({ at }: { readonly at: Deciding }): JSX.Element {
  return (
    <label class="field">
      Reason, which the agent is told
      <textarea
        data-mode={at.mode}
        rows={2}
        maxLength={2_000}
        value={at.reason}
        onInput={(event) => at.setReason(event.currentTarget.value)}
      />
    </label>
  );
}

function Refused({ error, view }: {
  readonly error: ApiError;
  readonly view: RequestView;
}): JSX.Element {
  const said: Readonly<Record<string, string>> = {
    ESTALE: "The call changed, review it again. Nothing was answered.",
    EEXPIRED: "It expired: nobody answered in time, which was a no.",
    own_request: ownText(view.owner),
  };
  const own = Object.hasOwn(said, error.code) ? said[error.code] : undefined;
  return (
    <>
      {own !== undefined && <p class="problem" role="alert">{visible(own)}</p>}
      {(own === undefined || error.code === "ESTALE") && <Problem error={error} />}
    </>
  );
}

function Buttons({ view, at }: { readonly view: RequestView; readonly at: Deciding }): JSX.Element {
  switch (at.mode) {
    case "look":
      return <Choices view={view} at={at} />;
    case "edit":
      return (
        <Pair at={at} verb="Approve this instead" tone="yes" problem={at.edited.problem}>
          {() => {
            const args = at.edited.value as Extract<Said, { outcome: "edit" }>["args"];
            const note = at.granting.grant.note.trim();
            return { outcome: "edit", args, ...(note === "" ? {} : { note }) };
          }}
        </Pair>
      );
    case "deny":
    case "stop":
      return (
        <Pair at={at} verb={at.mode === "stop" ? "Deny and stop it" : "Deny"} tone="no">
          {() => ({
            outcome: "deny",
            ...(at.reason.trim() === "" ? {} : { reason: at.reason.trim() }),
            ...(at.mode === "stop" ? { stop: true } : {}),
          })}
        </Pair>
      );
    case "sure":
      return (
        <Pair at={at} verb="Yes, approve all of that" tone="yes" problem={at.granting.problem}>
          {() => approvalOf(at.granting.grant)}
        </Pair>
      );
  }
}

/** Going back, and going on. */
function Pair({ at, verb, tone, problem = null, children }: {
  readonly at: Deciding;
  readonly verb: string;
  readonly tone: "yes" | "no";
  readonly problem?: string | null;
  readonly children: () => Said;
}): JSX.Element {
  return (
    <p class="buttons">
      <button type="button" onClick={() => at.setMode("look")}>Back</button>
      <button
        type="button"
        class={tone}
        disabled={problem !== null}
        aria-disabled={at.isBusy}
        onClick={() => at.say(children())}
      >
        {verb}
      </button>
      {problem !== null && <span class="dim">{problem}</span>}
    </p>
  );
}

function Choices({ view, at }: { readonly view: RequestView; readonly at: Deciding }): JSX.Element {
  const { kind } = view;
  const isAnswer = kind === "question" || kind === "doubt";
  const problem = isAnswer ? at.answer.problem : at.granting.problem;
  const mayEdit = kind === "budget" || kind === "permission";
  return (
    <p class="buttons">
      <Yes view={view} at={at} problem={problem} />
      {mayEdit && (
        <button type="button" onClick={() => at.setMode("edit")}>
          {kind === "budget" ? "Give less" : "Edit args"} <kbd aria-hidden="true">e</kbd>
        </button>
      )}
      {kind !== "notice" && (
        <>
          <button type="button" class="no" onClick={() => at.setMode("deny")}>
            Deny… <kbd aria-hidden="true">d</kbd>
          </button>
          <button type="button" class="no" onClick={() => at.setMode("stop")}>Deny & stop…</button>
        </>
      )}
      {problem !== null && <span class="dim">{problem}</span>}
    </p>
  );
}

function Yes({ view, at, problem }: {
  readonly view: RequestView;
  readonly at: Deciding;
  readonly problem: string | null;
}): JSX.Element {
  const { kind } = view;
  const { grant } = at.granting;
  const isWide = grant.scope !== "once";
  const isAnswer = kind === "question" || kind === "doubt";
  const verb = isAnswer
    ? "Answer"
    : kind === "notice"
    ? "I have read it"
    : kind === "budget"
    ? "Approve"
    : isWide
    ? `Approve for ${grant.scope}…`
    : "Approve once";
  const act = (): void => {
    if (at.isBusy) return;
    if (isWide) at.setMode("sure");
    else if (isAnswer) {
      const value = at.answer.value as Extract<Said, { outcome: "answer" }>["value"];
      at.say({ outcome: "answer", value });
    } else at.say(approvalOf(grant));
  };
  return (
    <button
      type="button"
      class="yes"
      data-yes
      disabled={problem !== null}
      aria-disabled={at.isBusy}
      onClick={act}
    >
      {verb} <kbd aria-hidden="true">a</kbd>
    </button>
  );
}
