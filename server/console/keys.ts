/**
 * The keyboard: keys that lead to pages, through lists, and to what helps.
 *
 * Invariants:
 *   K1. No key does anything while somebody writes, or while a dialog or a menu is open.
 * @module
 */

import { useEffect, useRef } from "preact/hooks";
import type { PageEntry } from "./pages.ts";
import { go } from "./route.ts";

/** How long the second key of two may take; by when they were pressed, not when they are heard. */
const PAIR_MS = 1_500;

/** What keys do on every page, for who asks. */
export const KEYS: readonly (readonly [string, string])[] = [
  ["j  k", "next and previous of a list"],
  ["Enter", "open it"],
  ["/", "filter"],
  ["Ctrl K  ⌘ K", "go to a page, a process, a request"],
  ["Esc", "close, or leave a field"],
  ["a  A", "of a request: approve once; choose how far"],
  ["d  e", "of a request: deny with a reason; edit its arguments"],
  ["?", "these keys"],
];

/** Whether a key is meant for what somebody writes, or for a dialog or a menu that is open. */
export function isTaken(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return true;
  const target = event.target as HTMLElement;
  return isField(target) || document.querySelector("dialog[open], .menu:popover-open") !== null;
}

function isField(target: HTMLElement): boolean {
  if (target instanceof HTMLInputElement) return !/^(checkbox|radio|button)$/.test(target.type);
  return target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName);
}

/** Listens to the keyboard. */
export function useKeys(given: {
  readonly pages: readonly PageEntry[];
  readonly help: () => void;
  readonly find: () => void;
}): void {
  const latest = useRef(given);
  latest.current = given;
  useEffect(() => {
    let first: { readonly key: string; readonly atMs: number } | null = null;
    const pressed = (event: KeyboardEvent): void => {
      const { key } = event;
      if (key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        latest.current.find();
        return;
      }
      if (key === "Escape" && isField(event.target as HTMLElement)) {
        (event.target as HTMLElement).blur();
      }
      if (isTaken(event)) return;
      const isSecond = first !== null && event.timeStamp - first.atMs < PAIR_MS;
      const keys = isSecond ? `${first!.key} ${key}` : key;
      first = null;
      const page = latest.current.pages.find((one) => one.keys !== "" && one.keys === keys);
      if (page !== undefined) go(page.path);
      else if (key === "g") first = { key, atMs: event.timeStamp };
      else if (!does(key)) return;
      event.preventDefault();
    };
    const does = (key: string): boolean => {
      if (key === "j" || key === "k") walk(key === "j" ? 1 : -1);
      else if (key === "/") document.querySelector<HTMLElement>("main [data-filter]")?.focus();
      else if (key === "?") latest.current.help();
      else return false;
      return true;
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
}

/** Goes to the next or the previous of a page's rows: whatever carries `data-row`. */
function walk(step: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>("main [data-row]")];
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = at < 0 ? (step === 1 ? rows[0] : rows.at(-1)) : rows[at + step];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}
