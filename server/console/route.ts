/**
 * Addresses of the console's pages, and going from one to another without loading anew.
 * @module
 */

import { useEffect, useState } from "preact/hooks";

/** Where the console is: the path's segments, and the query. */
export interface Place {
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

function here(): Place {
  const { pathname, search } = globalThis.location;
  return {
    path: pathname.split("/").filter((part) => part !== "").map(decodeURIComponent),
    query: new URLSearchParams(search),
  };
}

/** The place that is shown. */
export function usePlace(): Place {
  const [place, set] = useState(here);
  useEffect(() => {
    const changed = (): void => set(here());
    globalThis.addEventListener("popstate", changed);
    return () => globalThis.removeEventListener("popstate", changed);
  }, []);
  return place;
}

/** Goes to a page. */
export function go(path: string): void {
  globalThis.history.pushState(null, "", path);
  globalThis.dispatchEvent(new PopStateEvent("popstate"));
  globalThis.scrollTo(0, 0);
}

/** Says what is shown in the address, without a step to go back by. */
export function restate(path: string): void {
  globalThis.history.replaceState(null, "", path);
  globalThis.dispatchEvent(new PopStateEvent("popstate"));
}

/** Lets clicks on the console's own links go without loading anew. */
export function followLinks(): void {
  globalThis.document.addEventListener("click", (event) => {
    const link = (event.target as Element).closest?.("a");
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
    if (link === null || link === undefined || !isPlain || event.defaultPrevented) return;
    if (link.origin !== globalThis.location.origin || link.target !== "") return;
    if (link.hasAttribute("download")) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}

/** The page of a process, a request, an object, a tool. */
export const pathTo = {
  process: (pid: string): string => `/p/${pid}`,
  request: (id: string): string => `/approvals/${id}`,
  object: (id: string): string => `/view/objects/${id}`,
  tool: (hash: string): string => `/view/tools/${hash}`,
} as const;
