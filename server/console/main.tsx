/**
 * The console: one page, its parts by address.
 * @module
 */

/// <reference lib="dom" />
/// <reference lib="dom.iterable" />

import { type JSX, render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError, signedIn, type Who } from "./api.ts";
import { goLive, useLiveState } from "./live.ts";
import { pageAt, PAGES } from "./pages.ts";
import { Problem } from "./parts.tsx";
import { followLinks, usePlace } from "./route.ts";

function Shell({ who }: { readonly who: Who }): JSX.Element {
  const place = usePlace();
  const live = useLiveState();
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
                <kbd aria-hidden="true">{keys}</kbd>
              </a>
            </li>
          ))}
        </ul>
        <p class={`live ${live}`} role="status">
          {live === "live" ? "live" : "connection lost, trying again"}
        </p>
        <p class="who">{who.name} · {who.role}</p>
      </nav>
      <main id="main">
        <Shown place={place} who={who} />
      </main>
    </>
  );
}

function Console(): JSX.Element {
  const [who, setWho] = useState<Who | undefined>();
  const [error, setError] = useState<ApiError | undefined>();
  useEffect(() => {
    signedIn().then((found) => {
      setWho(found);
      goLive();
    }, (thrown) => {
      const detail = "The server is not there";
      setError(
        thrown instanceof ApiError ? thrown : new ApiError({ detail, status: 0, code: "EIO" }),
      );
    });
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
