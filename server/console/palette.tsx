/**
 * The palette: to a page, a process or a request by a few letters; and what the keys are.
 * @module
 */

import type { JSX } from "preact";
import { useId, useRef, useState } from "preact/hooks";
import type { ProcessView } from "../schema/process.ts";
import type { RequestView } from "../schema/request.ts";
import { Dialog } from "./dialog.tsx";
import { KEYS } from "./keys.ts";
import { useRead } from "./live.ts";
import { PAGES } from "./pages.ts";
import { go, pathTo } from "./route.ts";
import { visible } from "./words.ts";

const SHOWN_MAX = 12;

interface Target {
  readonly path: string;
  readonly kind: string;
  readonly name: string;
  readonly about: string;
}

function useTargets(): readonly Target[] {
  const processes = useRead<{ items: ProcessView[] }>("/v1/processes?limit=500");
  const requests = useRead<{ items: RequestView[] }>("/v1/approvals?status=pending&limit=100");
  return [
    ...PAGES.filter(({ name }) => name !== null).map(({ path, name, keys }) => ({
      path,
      kind: "page",
      name: name!,
      about: keys,
    })),
    ...(requests.data?.items ?? []).map(({ id, prompt, call }) => ({
      path: pathTo.request(id),
      kind: "request",
      name: id,
      about: call === null ? prompt : `${call.name} ${call.resource}`,
    })),
    ...(processes.data?.items ?? []).map(({ pid, goal }) => ({
      path: pathTo.process(pid),
      kind: "process",
      name: pid,
      about: goal,
    })),
  ];
}

/** The palette. */
export function Palette({ close }: { readonly close: () => void }): JSX.Element {
  const [words, setWords] = useState("");
  const [at, setAt] = useState(0);
  const id = useId();
  const sought = words.toLowerCase().split(/\s+/);
  const found = useTargets().filter(({ kind, name, about }) => {
    const text = `${kind} ${name} ${about}`.toLowerCase();
    return sought.every((word) => text.includes(word));
  }).slice(0, SHOWN_MAX);
  const input = useRef<HTMLInputElement>(null);
  const take = (target: Target | undefined): void => {
    if (target === undefined) return;
    close();
    go(target.path);
  };
  const pressed = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0) setAt((at + step + found.length) % Math.max(1, found.length));
    else if (event.key === "Enter") take(found[at]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title="Go to" close={close}>
      <input
        ref={input}
        role="combobox"
        aria-label="A page, a process, a request"
        aria-expanded
        aria-controls={id}
        aria-activedescendant={found[at] === undefined ? undefined : `${id}-${at}`}
        value={words}
        onKeyDown={pressed}
        onInput={(event) => {
          setWords(event.currentTarget.value);
          setAt(0);
        }}
      />
      <ul id={id} role="listbox" aria-label="Found" class="found">
        {found.map((target, i) => (
          <li
            key={target.path}
            id={`${id}-${i}`}
            role="option"
            aria-selected={i === at}
            onClick={() => take(target)}
          >
            <span class="dim">{target.kind}</span> <strong>{target.name}</strong>{" "}
            <span class="dim">{visible(target.about.slice(0, 160))}</span>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p class="dim">Nothing is called so.</p>}
    </Dialog>
  );
}

/** What the keys are. */
export function Help({ close }: { readonly close: () => void }): JSX.Element {
  const pages = PAGES.filter(({ keys }) => keys !== "");
  return (
    <Dialog title="Keys" close={close}>
      <dl class="keys">
        {[...pages.map(({ keys, name }) => [keys, name ?? ""] as const), ...KEYS].map((
          [keys, what],
        ) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <div class="row end">
        <button type="button" onClick={close}>Close</button>
      </div>
    </Dialog>
  );
}
