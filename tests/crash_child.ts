/**
 * A run of the demo that kills its own process before or after a commit.
 *
 * `crash_child.ts FOLDER DB (before|after|never) N`: the Nth commit is the fatal one, from 1. A run
 * that comes to its end prints how many commits it made.
 * @module
 */

import { SqliteStore, type Store } from "@agent-libos/core";
import { runDemo } from "../demos/audit.ts";
import { scripted } from "../demos/audit_person.ts";

/** A store whose process dies at a commit. Its claims void older ones: their owner was killed. */
class FatalStore implements Store {
  commits = 0;
  readonly #store: Store;
  readonly #when: string;
  readonly #fatal: number;

  constructor(store: Store, when: string, fatal: number) {
    this.#store = store;
    this.#when = when;
    this.#fatal = fatal;
  }

  get name(): string {
    return this.#store.name;
  }

  #reached(when: string): void {
    if (when === this.#when && this.commits === this.#fatal) Deno.kill(Deno.pid, "SIGKILL");
  }

  async commit(...args: Parameters<Store["commit"]>): Promise<void> {
    this.commits += 1;
    this.#reached("before");
    await this.#store.commit(...args);
    this.#reached("after");
  }

  claim(...[tree, node, options]: Parameters<Store["claim"]>): ReturnType<Store["claim"]> {
    return this.#store.claim(tree, node, { ...options, steal: true });
  }

  create: Store["create"] = (...args) => this.#store.create(...args);
  read: Store["read"] = (...args) => this.#store.read(...args);
  head: Store["head"] = (...args) => this.#store.head(...args);
  list: Store["list"] = (...args) => this.#store.list(...args);
  putSnapshot: Store["putSnapshot"] = (...args) => this.#store.putSnapshot(...args);
  getSnapshot: Store["getSnapshot"] = (...args) => this.#store.getSnapshot(...args);
  getBlob: Store["getBlob"] = (...args) => this.#store.getBlob(...args);
  putInbox: Store["putInbox"] = (...args) => this.#store.putInbox(...args);
  getInbox: Store["getInbox"] = (...args) => this.#store.getInbox(...args);
  due: Store["due"] = (...args) => this.#store.due(...args);
  nextDueMs: Store["nextDueMs"] = () => this.#store.nextDueMs();
  release: Store["release"] = (...args) => this.#store.release(...args);
  version: Store["version"] = () => this.#store.version();
  check: Store["check"] = () => this.#store.check();
  close: Store["close"] = () => this.#store.close();
}

if (import.meta.main) {
  const [folder = "", db = "", when = "never", n = "0"] = Deno.args;
  const store = new FatalStore(SqliteStore.open(db), when, Number(n));
  const out = (line: string): void => console.log(line);
  const code = await runDemo({ folder, store, person: scripted(out), out });
  console.log(`commits: ${store.commits}`);
  Deno.exit(code);
}
