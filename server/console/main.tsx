/**
 * The console: one page, its parts by address.
 * @module
 */

/// <reference lib="dom" />
/// <reference lib="dom.iterable" />

import "./jsx.ts";
import { type JSX, render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, problemIn, send, signedIn, type Who } from "./api.ts";
import { Said, useAct } from "./forms.tsx";
import { useKeys } from "./keys.ts";
import { goLive, sessionOf, useLive } from "./live.ts";
import { WaitCount } from "./notify.tsx";
import { pageAt, PAGES } from "./pages.ts";
import { Help, Palette } from "./palette.tsx";
import { Problem } from "./parts.tsx";
import { followLinks, usePlace } from "./route.ts";
import { leave } from "./share.ts";
import { timeOf } from "./words.ts";

function Shell({ who }: { readonly who: Who }): JSX.Element {
  const place = usePlace();
  const [open, setOpen] = useState<"help" | "find" | null>(null);
  const close = (): void => setOpen(null);
  useKeys({ pages: PAGES, help: () => setOpen("help"), find: () => setOpen("find") });
  useArrivals(place.path.join("/"));
  const { page: Shown } = pageAt(place);
  return (
    <>
      <a class="skip" href="#main">To the content</a>
      <nav aria-label="Pages">
        <a class="brand" href="/">Agent libOS</a>
        <ul>
          {PAGES.filter(({ name }) => name !== null).map(({ path, name, keys }) => (
            <li key={path}>
              <a href={path} aria-current={pageAt(place).path === path ? "page" : undefined}>
                {name}
                {path === "/approvals" && <WaitCount />}
                <kbd aria-hidden="true">{keys}</kbd>
              </a>
            </li>
          ))}
        </ul>
        <div class="foot">
          <button type="button" class="quiet" onClick={() => setOpen("find")}>
            Go to <kbd aria-hidden="true">Ctrl K</kbd>
          </button>
          <Connection />
          <p class="who">{who.name} · {who.role}</p>
          <SignOut who={who} />
        </div>
      </nav>
      <main id="main">
        <Shown place={place} who={who} />
      </main>
      {open === "help" && <Help close={close} />}
      {open === "find" && <Palette close={close} />}
    </>
  );
}

/** Ends the session: no tab of it shows anything any more. */
function SignOut({ who }: { readonly who: Who }): JSX.Element {
  const act = useAct();
  const end = async (): Promise<void> => {
    await send("POST", "/v1/session/end");
    leave(sessionOf(who));
  };
  return (
    <>
      <button type="button" class="quiet" aria-disabled={act.isBusy} onClick={() => act.run(end)}>
        Sign out
      </button>
      <Said act={act} />
    </>
  );
}

/** Brings whoever reads with ears, or by keyboard, to the page that was gone to. */
function useArrivals(path: string): void {
  const before = useRef(path);
  useEffect(() => {
    if (before.current === path) return;
    before.current = path;
    document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
  }, [path]);
}

function Connection(): JSX.Element {
  const { state, since } = useLive();
  return (
    <p class={`live ${state}`} role="status">
      {state === "live" && "live"}
      {state === "joining" && "connecting"}
      {state === "out" && (
        <>
          signed out: open the link that <code>libos serve</code> prints
        </>
      )}
      {state === "lost" && `connection lost at ${timeOf(since)}, trying again`}
    </p>
  );
}

function Console(): JSX.Element {
  const [who, setWho] = useState<Who | undefined>();
  const [error, setError] = useState<ApiError | undefined>();
  useEffect(() => {
    signedIn().then((found) => {
      setWho(found);
      goLive(found);
    }, (thrown) => setError(problemIn(thrown)));
  }, []);
  if (error !== undefined) {
    return (
      <main>
        <h1>Agent libOS</h1>
        <Problem error={error} />
        <p>
          Open the link that <code>libos serve</code> or <code>libos console</code> prints.
        </p>
      </main>
    );
  }
  return who === undefined ? <p class="loading">Loading…</p> : <Shell who={who} />;
}

followLinks();
render(<Console />, document.getElementById("app")!);
