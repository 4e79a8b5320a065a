/**
 * The API as its routes see it: what the server is made of, and who is asking.
 * @module
 */

import type { OpenAPIHono } from "@hono/zod-openapi";
import type { StoreView } from "../kernel/store.ts";
import type { Clock, Random } from "../kernel/world.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Feed } from "./feed.ts";
import type { Glances } from "./glance.ts";
import type { Hearing } from "./hearing.ts";
import type { ImageBook } from "./image_book.ts";
import type { PackageBook } from "./package_book.ts";
import type { Streams } from "./stream.ts";
import type { Principal } from "./principal.ts";
import type { Reveals } from "./reveal.ts";
import type { Tally } from "./tally.ts";
import type { TokenBook } from "./tokens.ts";

/** What the server is made of; every route is given it. */
export interface House {
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly random: Random;
  /** Durable lines of all trees, wherever they are. */
  readonly hearing: Hearing;
  /** What happens, live. */
  readonly feed: Feed;
  readonly tokens: TokenBook;
  /** Images that may be started by name. */
  readonly images: ImageBook;
  /** Packages that are kept. */
  readonly packages: PackageBook;
  /** What this is: shown by `/v1/version`. */
  readonly version: string;
  readonly startedMs: number;
  /** What was spent and called, by the minute. */
  readonly tally: Tally;
  /** What the last check of the logs came to; null before the first. */
  audited: { readonly ok: boolean; readonly checkedAt: string; readonly lines: number } | null;
  /** Whether somebody may approve what their own agents ask for. */
  readonly isSelfApproved: boolean;
  /** Whether a proxy that speaks TLS stands before the server, and is believed about it. */
  readonly isBehindTls: boolean;
  /** Aborted when the server stops: whoever is waited for is not waited for any longer. */
  readonly stopping: AbortSignal;
  /** Looks at trees without opening them. */
  readonly glances: Glances;
  /** Who looked at values. */
  readonly reveals: Reveals;
  /** The open streams. */
  readonly streams: Streams;
  /** What works on this machine. */
  doctor(): Promise<readonly Finding[]>;
  /** Hears of bugs. */
  failed(thrown: unknown): void;
  /** Resident memory in bytes. */
  residentBytes(): number;
}

/** One thing that was looked at. */
export interface Finding {
  /** `deno`, `cages`, `store`. */
  readonly what: string;
  /** `ok`, `bad`, or a word between them. */
  readonly state: string;
  /** More, for people. */
  readonly detail: string;
}

/** What a request carries once it was let in. */
export interface Env {
  Bindings: {
    /** The address that asks. */
    readonly from: string;
  };
  Variables: {
    /** Who asks. */
    who: Principal;
    /** What the page of a session sends along; null for a token. */
    csrf: string | null;
    /** The session's name; null for a token. */
    session: string | null;
    /** The address that asks. */
    from: string;
    /** Where what is shown is read, once it was asked for. */
    shown: StoreView | undefined;
  };
}

/** The application that routes are added to. */
export type Api = OpenAPIHono<Env>;
