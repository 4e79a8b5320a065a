/**
 * Parts that pages are made of.
 * @module
 */

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ProcessView } from "../schema/process.ts";
import type { ApiError } from "./api.ts";
import { pathTo } from "./route.ts";
import { spanOf, visible } from "./words.ts";

const ages = new Set<(nowMs: number) => void>();
let isTicking = false;

/** The time, every second: ages go on by themselves, all of them by one clock. */
export function useNow(): number {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    ages.add(set);
    if (!isTicking) tick();
    return () => void ages.delete(set);
  }, []);
  return now;
}

function tick(): void {
  isTicking = ages.size > 0;
  if (!isTicking) return;
  setTimeout(() => {
    const nowMs = Date.now();
    for (const set of ages) set(nowMs);
    tick();
  }, 1_000);
}

/** How long ago something was. */
export function Age({ at }: { readonly at: string }): JSX.Element {
  const now = useNow();
  return <time dateTime={at} title={at}>{spanOf(now - Date.parse(at))}</time>;
}

/** Text that an agent wrote. */
export function Claimed({ text, max = 2_000 }: {
  readonly text: string;
  readonly max?: number;
}): JSX.Element {
  const cut = text.length > max;
  return (
    <span class="claimed">
      {visible(cut ? text.slice(0, max) : text)}
      {cut && <em>… {text.length - max} characters more</em>}
    </span>
  );
}

/** Text in lines, as it is. */
export function Block({ text, label }: {
  readonly text: string;
  readonly label: string;
}): JSX.Element {
  // What scrolls has to be reachable by keyboard.
  return <pre class="block" tabIndex={0} role="region" aria-label={label}>{visible(text)}</pre>;
}

/** A state as a badge, with its word. */
export function State({ process }: { readonly process: ProcessView }): JSX.Element {
  const { state, waiting, outcome } = process;
  const word = waiting === null
    ? outcome === null ? state : `${outcome.kind}${outcome.code === null ? "" : ` ${outcome.code}`}`
    : `${state}/${waiting.reason}`;
  const tone = waiting?.reason === "person"
    ? "ask"
    : outcome !== null && (outcome.kind !== "exited" || outcome.code !== 0)
    ? "deny"
    : state === "running"
    ? "allow"
    : "calm";
  return <span class={`badge ${tone}`}>{word}</span>;
}

/** A link to a process; `isRow` where it is what `j` and `k` go through. */
export function Pid({ pid, isRow = false }: {
  readonly pid: string;
  readonly isRow?: boolean;
}): JSX.Element {
  return <a class="id" href={pathTo.process(pid)} data-row={isRow ? "" : undefined}>{pid}</a>;
}

/** What could not be read. */
export function Problem({ error }: { readonly error: ApiError }): JSX.Element {
  return (
    <p class="problem" role="alert">
      {visible(error.message)} <span class="dim">[{error.code}]</span>
    </p>
  );
}

/** What is there when nothing is: the command that fills it. */
export function Empty({ children, command }: {
  readonly children: ComponentChildren;
  readonly command?: string;
}): JSX.Element {
  return (
    <div class="empty">
      <p>{children}</p>
      {command !== undefined && <code>{command}</code>}
    </div>
  );
}

/** A page's head and body. */
export function Page({ title, side, children }: {
  readonly title: string;
  readonly side?: ComponentChildren;
  readonly children: ComponentChildren;
}): JSX.Element {
  useEffect(() => {
    document.title = `${title} · Agent libOS`;
  }, [title]);
  return (
    <>
      <header class="head">
        <h1 tabIndex={-1}>{title}</h1>
        {side}
      </header>
      {children}
    </>
  );
}
