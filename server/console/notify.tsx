/**
 * Those who wait for a person: how many, on every page; and notifications of the desktop for what
 * comes in while somebody looks elsewhere.
 *
 * Invariants:
 *   N1. The browser is asked for leave only when somebody clicks for it.
 *   N2. Of what an agent wrote, a notification holds one line of plain text.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { RequestView } from "../schema/request.ts";
import { byUrgency, whatOf } from "./request_text.ts";
import { useInbox } from "./requests.ts";
import { visible } from "./words.ts";

const TEXT_MAX = 200;
const AT_ONCE_MAX = 3;

function leave(): NotificationPermission | "absent" {
  return "Notification" in globalThis ? Notification.permission : "absent";
}

/** Tells of new requests, when that was wanted and nobody looks. */
function notify(news: readonly RequestView[]): void {
  if (leave() !== "granted" || !document.hidden) return;
  for (const view of byUrgency(news, Date.now()).slice(0, AT_ONCE_MAX)) {
    const body = visible(whatOf(view)).replace(/\s+/g, " ").slice(0, TEXT_MAX);
    const shown = new Notification(`${view.risk}: ${view.kind}`, { body, tag: view.id });
    shown.onclick = () => globalThis.focus();
  }
}

/** How many wait, for the menu. */
export function WaitCount(): JSX.Element | null {
  const { waiting, isCut } = useInbox(notify);
  if (waiting === undefined || waiting.length === 0) return null;
  return (
    <span class="count">
      {waiting.length}
      {isCut && "+"} <span class="unseen">wait</span>
    </span>
  );
}

/** Asks for leave. */
export function NotifyButton(): JSX.Element | null {
  const [now, set] = useState(leave);
  if (now === "granted") return <span class="dim">notifications are on</span>;
  if (now !== "default") return null;
  return (
    <button type="button" onClick={() => void Notification.requestPermission().then(set)}>
      Notify me
    </button>
  );
}
