/**
 * Notifications of the desktop, for requests that come in while somebody looks elsewhere.
 *
 * Invariants:
 *   N1. The browser is asked for leave only when somebody clicks for it.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { RequestView } from "../schema/request.ts";
import { whatOf } from "./request_text.ts";
import { visible } from "./words.ts";

const TEXT_MAX = 200;

function leave(): NotificationPermission | "absent" {
  return "Notification" in globalThis ? Notification.permission : "absent";
}

/** Tells of new requests, when that was wanted and nobody looks. */
export function notify(news: readonly RequestView[]): void {
  if (leave() !== "granted" || !document.hidden) return;
  for (const view of news.slice(0, 3)) {
    const body = visible(whatOf(view)).slice(0, TEXT_MAX);
    const shown = new Notification(`${view.risk}: ${view.kind}`, { body, tag: view.id });
    shown.onclick = () => globalThis.focus();
  }
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
