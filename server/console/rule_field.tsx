/**
 * A rule that somebody may change before giving it, and what it would have matched.
 * @module
 */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { z } from "zod";
import type { matchesShape, RequestView } from "../schema/request.ts";
import { useRead } from "./live.ts";
import { visible } from "./words.ts";

/** What a rule would have matched. */
export type MatchesView = z.infer<typeof matchesShape>;

/** What is known of a rule as it stands. */
export interface Tried {
  readonly matches: MatchesView | undefined;
  /** Why it cannot be given; null where it can. */
  readonly problem: string | null;
  /** Whether what is known is of another text than what stands there. */
  readonly isOld: boolean;
}

const PAUSE_MS = 250;

/** Tries a pattern on history, a moment after it was last changed. null tries nothing. */
export function useTried(id: string, pattern: string | null): Tried {
  const [settled, settle] = useState(pattern);
  useEffect(() => {
    if (settled === pattern) return;
    const timer = setTimeout(() => settle(pattern), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [pattern]);
  const isAsked = settled !== null && settled !== "";
  const path = `/v1/approvals/${id}/matches?resource=${encodeURIComponent(settled ?? "")}`;
  const { data, error } = useRead<MatchesView>(isAsked ? path : null);
  const problem = pattern === "" ? "There is no pattern" : error?.message ?? data?.problem ?? null;
  const isOld = settled !== pattern || (pattern !== null && pattern !== "" && data === undefined);
  return { matches: data, problem, isOld };
}

/** What a rule would have matched, in words. */
export function matchesText(right: string, found: MatchesView): string {
  const { matched, of, asked, allowed, denied, processes, isWhole } = found;
  const which = isWhole ? "" : "the latest ";
  if (of === 0) return `There is no earlier ${right} call in this tree to compare with.`;
  const by = matched === 0 ? "" : ` by ${processes} ${processes === 1 ? "process" : "processes"}`;
  const how = matched === 0 ? "" : ` (${asked} asked, ${allowed} let through, ${denied} refused)`;
  return `It would have matched ${matched} of ${which}${of} earlier ${right} calls${by}${how}.`;
}

/** The field. */
export function RuleField({ view, pattern, set, tried }: {
  readonly view: RequestView;
  readonly pattern: string;
  readonly set: (pattern: string) => void;
  readonly tried: Tried;
}): JSX.Element {
  const { right } = view.call!;
  const others = view.suggestions.filter(({ scope }) => scope !== "once");
  return (
    <fieldset class="rule">
      <legend>Rule</legend>
      <label class="mono">
        <span>{visible(right)}(</span>
        <input
          value={pattern}
          aria-label="Pattern of resources"
          aria-describedby="rule-found"
          aria-invalid={tried.problem !== null}
          maxLength={1_024}
          spellcheck={false}
          onInput={(event) => set(event.currentTarget.value)}
        />
        <span>)</span>
      </label>
      {others.length > 0 && (
        <p class="buttons" role="group" aria-label="Suggestions">
          {others.map(({ resource, matched }) => (
            <button
              key={resource}
              type="button"
              aria-pressed={resource === pattern}
              onClick={() => set(resource)}
            >
              <code>{visible(resource)}</code> <span class="dim">{matched} earlier</span>
            </button>
          ))}
        </p>
      )}
      <div id="rule-found" class="matched" aria-live="polite">
        {tried.problem !== null
          ? <p class="problem">{visible(tried.problem)}</p>
          : tried.matches === undefined || tried.isOld
          ? <p class="dim">Looking what it would have matched…</p>
          : <Found right={right} matches={tried.matches} />}
      </div>
    </fieldset>
  );
}

function Found({ right, matches }: {
  readonly right: string;
  readonly matches: MatchesView;
}): JSX.Element {
  return (
    <>
      <p>{matchesText(right, matches)}</p>
      {matches.examples.length > 0 && (
        <ul class="dim mono">
          {matches.examples.map(({ seq, pid, resource }) => (
            <li key={seq}>{pid} {visible(resource)}</li>
          ))}
        </ul>
      )}
    </>
  );
}
