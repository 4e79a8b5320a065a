/**
 * Hooks: programs and servers that are told when somebody is needed.
 *
 * Invariants:
 *   H1. What a durable line says is told at least once, under one id, whatever dies in between; or
 *       it is given up after `attempts`, which is told of.
 *   H2. A hook that is slow or gone holds up no agent and no other hook.
 *   H3. Nothing is looked through twice without need: how far each tree was is kept.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Line } from "../kernel/event.ts";
import type { TreeId } from "../kernel/ids.ts";
import { canonical, sha256 } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { parseJson } from "../kernel/parse.ts";
import type { State } from "../kernel/state.ts";
import type { Store } from "../kernel/store.ts";
import type { TreeContext } from "../kernel/tree.ts";
import type { Clock, Random } from "../kernel/world.ts";
import { type Entry, HookBook } from "../providers/hook_book.ts";
import { postHook, runHook, type Sending } from "../providers/hook_send.ts";
import { nearLimits, watchBudgets } from "./budget_watch.ts";
import { bodyOf, type Happening, happeningAt, happeningOf, HOOK_EVENTS } from "./hook_events.ts";
import type { HookEvent } from "./hook_events.ts";
import { loadTree, readLines } from "./load.ts";
import type { Node } from "./node.ts";
import { treesOf } from "./seal.ts";

/** Who is told, of what, and how: by a request to `url` or by running `command`. */
export interface Hook {
  /** All by default. */
  readonly on?: readonly HookEvent[];
  /** An http(s) address that takes a POST of JSON. */
  readonly url?: string;
  /** Signs the requests: HMAC-SHA256, in the header `libos-signature`. 16 characters at least. */
  readonly secret?: string;
  /** A program and its arguments; the event is on its standard input. */
  readonly command?: readonly string[];
  /** How long it may take, in milliseconds. @default 10_000 */
  readonly timeoutMs?: number;
  /** How often it is tried before the event is given up. @default 10 */
  readonly attempts?: number;
  /** How long until the second try, in milliseconds; each time twice as long. @default 1_000 */
  readonly retryMs?: number;
}

/** What hooks are made with. */
export interface HooksParts {
  readonly hooks: readonly Hook[];
  readonly book: HookBook;
  readonly clock: Clock;
  readonly random: Random;
  /** Hears of what was given up, and of what keeps events from being written down. */
  readonly onFault?: ((fault: SysError) => void) | undefined;
}

interface Known extends Required<Omit<Hook, "url" | "secret" | "command">> {
  readonly id: string;
  readonly hook: Hook;
}

/** The note in the book that names the hooks of the last kernel. */
export const HOOKS_NOTE = "hooks";
const CURSOR_MS = 1_000;
const SECRET_CHARS_MIN = 16;

/** Tells hooks what becomes durable. */
export class Hooks {
  /** Where people look at things; set by whoever serves them. */
  console: string | null = null;
  readonly #parts: HooksParts;
  readonly #hooks: ReadonlyMap<string, Known>;
  readonly #flying = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();
  /** How far trees were looked through since that was written down. */
  readonly #seen = new Map<string, number>();
  /** Trees of which something could not be written down: they are looked through again. */
  readonly #held = new Set<string>();
  readonly #offs: (() => void)[] = [];
  #node: Node | null = null;
  #running: Promise<void> = Promise.resolve();
  #wake = new AbortController();

  /** Refuses hooks that cannot be meant; tells nothing before {@linkcode start}. */
  constructor(parts: HooksParts) {
    this.#parts = parts;
    if (parts.hooks.length > LIMITS.hooksMax) {
      const found = `${parts.hooks.length} hooks`;
      throw new SysError("ELIMIT", `Cannot use ${found}: expected ${LIMITS.hooksMax} at most`);
    }
    this.#hooks = new Map(parts.hooks.map(known).map((one) => [one.id, one]));
    if (this.#hooks.size < parts.hooks.length) {
      const expected = "expected one hook for each, with all that it is told of";
      throw new SysError("EINVAL", `Cannot use hooks: two have the same target, ${expected}`);
    }
  }

  /** Finds what became durable and was not looked at when the last kernel died (H1). */
  async recover(store: Store, context: TreeContext): Promise<void> {
    const { book } = this.#parts;
    const isNew = book.note("begun") === undefined;
    const closedAt = book.note("closed");
    const position = String(await store.archive?.().position() ?? "");
    book.setNote("closed", null);
    if (position !== "" && closedAt === position) return;
    const heads = await Array.fromAsync(treesOf(store, false));
    // Hooks are told of what happens since there are any.
    if (isNew) book.enter([], heads.map(({ tree, seq }) => [tree, seq] as const));
    else {
      for (const { tree, seq } of heads) {
        const seen = book.seen(tree);
        if (seq > seen) await this.#lookThrough(store, context, { tree, from: seen + 1 });
      }
    }
    if (isNew) book.setNote("begun", "1");
  }

  async #lookThrough(store: Store, context: TreeContext, { tree, from }: {
    readonly tree: TreeId;
    readonly from: number;
  }): Promise<void> {
    const { state } = (await loadTree(store, tree, context)).tree;
    const found: Happening[] = [];
    for await (const line of readLines(store, tree, from)) {
      if (line.seq > state.seq) break;
      const happening = happeningOf(line, state);
      if (happening !== undefined) found.push(happening);
    }
    const near = nearLimits(state, Object.values(state.processes));
    found.push(...near.map((one) => happeningAt(one, state)));
    this.#parts.book.enter(this.#entries(found), [[tree, state.seq]]);
  }

  /** Hears of a node's lines from now on. */
  attach(node: Node): void {
    this.#node = node;
    this.#offs.push(
      node.listen((tree, lines) => this.#hear(tree, lines)),
      watchBudgets(node, (near) => {
        const state = node.peek(near.tree)?.state;
        if (state !== undefined) this.#enter(near.tree, [happeningAt(near, state)], 0);
      }),
    );
  }

  /** Starts to tell. */
  start(): void {
    const known = [...this.#hooks.values()].map(({ id, on }) => ({ id, on: [...on] }));
    this.#parts.book.setNote(HOOKS_NOTE, canonical(known));
    this.#running = this.#run();
  }

  /** Stops telling; what was not told yet is told at the next start. */
  async close(store: Store): Promise<void> {
    for (const off of this.#offs.splice(0)) off();
    this.#stop.abort();
    await this.#running;
    await Promise.all(this.#flying.values());
    const { book } = this.#parts;
    try {
      this.#flush();
      const position = String(await store.archive?.().position() ?? "");
      if (position !== "" && this.#held.size === 0) book.setNote("closed", position);
    } finally {
      book.close();
    }
  }

  #hear(id: TreeId, lines: readonly Line[]): void {
    const last = lines.at(-1);
    if (last === undefined) return;
    const state = this.#node?.peek(id)?.state;
    // Looked through at the next start.
    if (state === undefined) return void this.#held.add(id);
    const found = lines.flatMap((line) => happeningOf(line, state) ?? []);
    if (found.length > 0) this.#enter(id, found, last.seq);
    else if (!this.#held.has(id)) this.#seen.set(id, last.seq);
  }

  #enter(tree: TreeId, found: readonly Happening[], seq: number): void {
    const entries = this.#entries(found);
    if (this.#held.has(tree)) seq = 0;
    try {
      this.#parts.book.enter(entries, seq === 0 ? [] : [[tree, seq]]);
      this.#wake.abort();
    } catch (thrown) {
      this.#held.add(tree);
      this.#seen.delete(tree);
      this.#fault(thrown);
    }
  }

  #entries(found: readonly Happening[]): Entry[] {
    return found.flatMap(({ facts, ...rest }) =>
      [...this.#hooks.values()].filter(({ on }) => on.includes(rest.event))
        .map(({ id }) => ({ ...rest, hook: id, facts: canonical(facts), attempts: 0 }))
    );
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const { clock } = this.#parts;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      let pauseMs = CURSOR_MS;
      try {
        pauseMs = this.#turn();
      } catch (thrown) {
        this.#fault(thrown);
      }
      const woken = AbortSignal.any([signal, this.#wake.signal]);
      await clock.sleep(pauseMs, woken).catch(() => {});
    }
  }

  /** Starts what is due and has room; gives how long until something is. */
  #turn(): number {
    const { book, clock } = this.#parts;
    const nowMs = clock.now();
    this.#flush();
    for (const one of this.#hooks.values()) {
      const flying = [...this.#flying.keys()].filter((key) => key.startsWith(`${one.id} `)).length;
      let room = LIMITS.hookInFlightMax - flying;
      // Those under way are due still.
      for (const entry of book.due([one.id], nowMs, LIMITS.hookInFlightMax)) {
        const key = `${one.id} ${entry.id}`;
        if (room <= 0 || this.#flying.has(key)) continue;
        room -= 1;
        const telling = this.#tell(one, entry).finally(() => {
          this.#flying.delete(key);
          this.#wake.abort();
        });
        this.#flying.set(key, telling);
      }
    }
    const nextMs = book.nextMs([...this.#hooks.keys()], nowMs);
    return nextMs === null ? CURSOR_MS : Math.max(1, Math.min(CURSOR_MS, nextMs - nowMs));
  }

  async #tell(one: Known, entry: Entry): Promise<void> {
    const { book, clock, random } = this.#parts;
    try {
      await this.#send(one, entry);
      book.told(entry, entry.event === "budget.80");
    } catch (thrown) {
      // Told again at the next start.
      if (this.#stop.signal.aborted) return;
      const error = thrown instanceof Error ? thrown.message : String(thrown);
      const isOver = entry.attempts + 1 >= one.attempts;
      const pause = Math.min(LIMITS.hookRetryMsMax, one.retryMs * 2 ** entry.attempts);
      const pauseMs = Math.ceil(pause * (1 + random.bytes(1)[0]! / 1_024));
      try {
        book.failed(entry, isOver ? null : clock.now() + pauseMs, error);
      } catch (failure) {
        this.#fault(failure);
        // It is due still, and would be tried again at once.
        return void await clock.sleep(pauseMs, this.#stop.signal).catch(() => {});
      }
      if (!isOver) return;
      const sentence = `Cannot tell of ${entry.event} in tree "${entry.tree}" (${entry.id})`;
      this.#fault(new SysError("EIO", `${sentence}: given up after ${one.attempts}: ${error}`));
    }
  }

  async #send({ hook, timeoutMs }: Known, entry: Entry): Promise<void> {
    const { id, event, tree, facts } = entry;
    const state = await this.#stateOf(tree as TreeId);
    const happening = { ...entry, facts: parseJson(facts) } as unknown as Happening;
    const body = bodyOf(happening, state, this.console);
    const nowMs = this.#parts.clock.now();
    const sending: Sending = { id, event, body, nowMs, timeoutMs };
    const { signal } = this.#stop;
    if (hook.url !== undefined) await postHook(hook.url, sending, hook.secret, signal);
    else await runHook(hook.command ?? [], sending, signal);
  }

  /** A tree as it is now, in memory or not; undefined when it cannot be read. */
  async #stateOf(id: TreeId): Promise<State | undefined> {
    const node = this.#node;
    const tree = node?.peek(id);
    if (tree !== undefined || node === null) return tree?.state;
    const { store, context } = node.options;
    return (await loadTree(store, id, context).catch(() => undefined))?.tree.state;
  }

  #flush(): void {
    if (this.#seen.size === 0) return;
    this.#parts.book.enter([], [...this.#seen].filter(([tree]) => !this.#held.has(tree)));
    this.#seen.clear();
  }

  #fault(thrown: unknown): void {
    const fault = thrown instanceof SysError ? thrown : new SysError("EIO", String(thrown));
    this.#parts.onFault?.(fault);
  }
}

/** A hook that can be meant, under an id that a later start finds again. */
function known(hook: Hook): Known {
  const { url, command, secret, on = HOOK_EVENTS } = hook;
  const refuse = (what: string, expected: string): never => {
    throw new SysError("EINVAL", `Cannot use hook: ${what}, expected ${expected}`);
  };
  if ((url === undefined) === (command === undefined)) {
    refuse("it has both or neither of url and command", "one of them");
  }
  const parsed = url === undefined ? null : URL.parse(url);
  if (url !== undefined && (parsed === null || !/^https?:$/.test(parsed.protocol))) {
    refuse("its address is none", "http or https");
  }
  if (parsed !== null && parsed.username + parsed.password !== "") {
    refuse("its address has a user in it", "a secret to sign with");
  }
  if (command !== undefined && (command[0] ?? "") === "") {
    refuse("its command is empty", "a program and its arguments");
  }
  if (secret !== undefined && secret.length < SECRET_CHARS_MIN) {
    refuse(`its secret has ${secret.length} characters`, `${SECRET_CHARS_MIN} at least`);
  }
  const odd = on.find((event) => !HOOK_EVENTS.includes(event));
  if (odd !== undefined) refuse(`event "${odd}" is unknown`, HOOK_EVENTS.join(", "));
  const number = (value: number | undefined, usual: number, max: number): number =>
    Number.isInteger(value ?? usual) && (value ?? usual) >= 1
      ? Math.min(value ?? usual, max)
      : refuse(`number ${value} is none`, `1 to ${max}`);
  return {
    id: sha256(canonical({ url: url ?? null, command: [...command ?? []] })).slice(0, 16),
    hook,
    on,
    timeoutMs: number(hook.timeoutMs, 10_000, LIMITS.hookTimeoutMsMax),
    attempts: number(hook.attempts, LIMITS.hookAttemptsMax, 100),
    retryMs: number(hook.retryMs, 1_000, LIMITS.hookRetryMsMax),
  };
}

/** Where the book of a store's hooks is. */
export function hookBookPath(store: string): string {
  return store === ":memory:" ? ":memory:" : `${store}.hooks`;
}
