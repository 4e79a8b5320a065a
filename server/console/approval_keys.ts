/**
 * The inbox's keys: through the list, and to where it is decided.
 *
 * Invariants:
 *   K1. A key leads somewhere and decides nothing: what decides is a button that has the focus.
 *   K2. No key does anything while somebody writes, or while a dialog is open.
 * @module
 */

import { useEffect, useRef } from "preact/hooks";
import { isTaken } from "./keys.ts";

/** How long the second key of two may take; by when they were pressed, not when they are heard. */
const PAIR_MS = 1_500;

/** What a key leads to; false for what it does not know. */
export type KeyTaker = (key: string) => boolean;

/** Listens, before whoever listens for the whole console. */
export function useInboxKeys(take: KeyTaker): void {
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => {
    let pairMs = -Infinity;
    const pressed = (event: KeyboardEvent): void => {
      if (isTaken(event)) return;
      const isSecond = event.timeStamp - pairMs < PAIR_MS;
      pairMs = event.key === "g" && !isSecond ? event.timeStamp : -Infinity;
      // `g a` leads to this page from everywhere, and from here to nothing else.
      if (event.key === "g" || isSecond || !latest.current(event.key)) return;
      event.preventDefault();
    };
    document.addEventListener("keydown", pressed, { capture: true });
    return () => document.removeEventListener("keydown", pressed, { capture: true });
  }, []);
}
