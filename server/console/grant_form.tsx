/**
 * How far an approval reaches: scope, rule, how long, how often.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { DecideInput, RequestView } from "../schema/request.ts";
import { useNow } from "./parts.tsx";
import { reachOf, type Scope } from "./request_text.ts";
import { matchesText, RuleField, type Tried, useTried } from "./rule_field.tsx";
import { spanOf, visible } from "./words.ts";

type Approval = Extract<DecideInput["decision"], { readonly outcome: "approve" }>;

const TERMS = { "15m": 15 * 60_000, "1h": 3_600_000, "8h": 8 * 3_600_000 } as const;
/** How long: a length, a date, or for good. */
type Term = keyof typeof TERMS | "until" | "never";
const TERM_NAMES: Readonly<Record<Term, string>> = {
  "15m": "15 minutes",
  "1h": "1 hour",
  "8h": "8 hours",
  until: "until…",
  never: "for good",
};

/** An approval as it is being put together. */
export interface Grant {
  readonly scope: Scope;
  readonly pattern: string;
  readonly term: Term;
  /** As a field of date and time has it. */
  readonly until: string;
  readonly uses: string;
  readonly note: string;
}

/** A grant under way: what it is, and why it cannot be given yet. */
export interface Granting {
  readonly grant: Grant;
  readonly tried: Tried;
  readonly problem: string | null;
  set(change: Partial<Grant>): void;
}

/** An approval of a request, for once as long as nobody says otherwise. */
export function useGrant(view: RequestView): Granting {
  const [grant, put] = useState<Grant>({
    scope: "once",
    pattern: view.call?.resource ?? "",
    term: "15m",
    until: "",
    uses: "",
    note: "",
  });
  const isWide = grant.scope !== "once";
  const tried = useTried(view.id, isWide ? grant.pattern : null);
  const set = (change: Partial<Grant>): void =>
    put((now) => {
      const next = { ...now, ...change };
      if (change.scope === undefined || change.scope === now.scope) return next;
      // What is long enough for one scope need not be right for the next.
      return {
        ...next,
        term: termOf(change.scope),
      };
    });
  return { grant, tried, set, problem: isWide ? problemIn(grant, tried, Date.now()) : null };
}

/** How long an answer of a scope holds, where nobody says otherwise. */
function termOf(scope: Scope): keyof typeof TERMS {
  return scope === "image" || scope === "policy" ? "8h" : "15m";
}

function problemIn({ term, until, uses }: Grant, tried: Tried, nowMs: number): string | null {
  if (tried.problem !== null) return tried.problem;
  if (tried.isOld) return "Its matches are not known yet";
  if (term === "until" && !(Date.parse(until) > nowMs)) return "Say until when, in the future";
  if (uses !== "" && !/^[1-9]\d{0,8}$/.test(uses)) return "Uses are a number from 1";
  return null;
}

/** What is sent. */
export function approvalOf({ scope, pattern, term, until, uses, note }: Grant): Approval {
  const said = note.trim() === "" ? {} : { note: note.trim() };
  if (scope === "once") return { outcome: "approve", scope, ...said };
  const forMs = term === "never"
    ? undefined
    : term === "until"
    ? Math.max(1, Date.parse(until) - Date.now())
    : TERMS[term];
  return {
    outcome: "approve",
    scope,
    resource: pattern,
    ...(forMs === undefined ? {} : { forMs }),
    ...(uses === "" ? {} : { uses: Number(uses) }),
    ...said,
  };
}

/** The choices. */
export function GrantForm({ view, given }: {
  readonly view: RequestView;
  readonly given: Granting;
}): JSX.Element {
  const { grant, set } = given;
  return (
    <>
      {view.scopes.length > 0 && (
        <fieldset class="scopes">
          <legend>
            How far{view.risk === "destructive" && " (it destroys: for this call only)"}
          </legend>
          {view.scopes.map((scope) => (
            <label key={scope}>
              <input
                type="radio"
                name="scope"
                value={scope}
                checked={grant.scope === scope}
                onChange={() => set({ scope })}
              />
              <span>
                <strong>{scope}</strong>{" "}
                <span class="dim">
                  {visible(reachOf(scope, view))}
                  {scope !== "once" &&
                    `, for ${TERM_NAMES[termOf(scope)]} unless you say otherwise`}
                </span>
              </span>
            </label>
          ))}
        </fieldset>
      )}
      {grant.scope !== "once" && (
        <>
          <RuleField
            view={view}
            pattern={grant.pattern}
            set={(pattern) => set({ pattern })}
            tried={given.tried}
          />
          <Terms grant={grant} set={set} />
        </>
      )}
      <label class="field">
        Note, which the log keeps
        <input
          value={grant.note}
          maxLength={2_000}
          onInput={(event) => set({ note: event.currentTarget.value })}
        />
      </label>
    </>
  );
}

function Terms({ grant, set }: Pick<Granting, "grant" | "set">): JSX.Element {
  const names = (Object.keys(TERM_NAMES) as Term[])
    .filter((term) => term !== "never" || grant.scope === "policy");
  return (
    <fieldset class="terms">
      <legend>How long</legend>
      {names.map((term) => (
        <label key={term}>
          <input
            type="radio"
            name="term"
            value={term}
            checked={grant.term === term}
            onChange={() => set({ term })}
          />
          {TERM_NAMES[term]}
        </label>
      ))}
      {grant.term === "until" && (
        <input
          type="datetime-local"
          aria-label="Until"
          value={grant.until}
          onInput={(event) => set({ until: event.currentTarget.value })}
        />
      )}
      {grant.scope !== "policy" && (
        <label>
          uses
          <input
            inputMode="numeric"
            size={6}
            placeholder="any"
            value={grant.uses}
            onInput={(event) => set({ uses: event.currentTarget.value.trim() })}
          />
        </label>
      )}
    </fieldset>
  );
}

/** A wide approval once more, in words, before it is given. */
export function GrantInWords({ view, given }: {
  readonly view: RequestView;
  readonly given: Granting;
}): JSX.Element {
  const now = useNow();
  const { grant, tried } = given;
  const { right } = view.call!;
  const ms = grant.term === "until"
    ? Date.parse(grant.until)
    : grant.term === "never"
    ? null
    : now + TERMS[grant.term];
  const until = ms === null
    ? "for good"
    : `until ${new Date(ms).toLocaleString()}, ${spanOf(ms - now)} from now`;
  const uses = grant.uses === "" ? "as often as they like" : `${grant.uses} times at most`;
  return (
    <>
      <p>
        Without asking again, {visible(reachOf(grant.scope, view))} may do{" "}
        <code class="claimed">{visible(`${right}(${grant.pattern})`)}</code> {until}, {uses}.
      </p>
      {tried.matches !== undefined && <p>{matchesText(right, tried.matches)}</p>}
    </>
  );
}
