/**
 * The door: the one path of every call (G1, G2, G5).
 *
 * Look up → decode → replay → authorize → judge → (person) → prepare → authorize again → intent →
 * act → outcome. Everything that can refuse comes before anything that changes, and no `await`
 * stands between the last check and the commit.
 *
 * Invariants:
 *   D1. A call is answered from the log when it was answered before; it is then not done again.
 *   D2. An effect is sent only after its intent is durable, and at most once for it (G5).
 *   D3. What a call changed is durable before its caller hears of it.
 *   D4. Every decision, and every refusal by authority, is a line of the log.
 * @module
 */

import { Draft } from "../kernel/draft.ts";
import { assert, Panic, SysError, toError, toOutcome } from "../kernel/errors.ts";
import type { CallResult, Decision } from "../kernel/event.ts";
import type { Json } from "../kernel/json.ts";
import { processOf, wait } from "../kernel/process.ts";
import type { Recorded } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import { askAhead, notePasses, refusedAhead } from "./ahead.ts";
import { askPerson, refusedByPerson } from "./ask.ts";
import { refusal, type Verdict } from "./authorize.ts";
import { Context, DecidingContext } from "./context.ts";
import { failure, sendEffect, settleLost } from "./effect.ts";
import {
  asEdited,
  askedBy,
  asRecorded,
  bound,
  bounded,
  boundedName,
  type Call,
  callId,
  decode,
  doneAs,
  type Host,
  mustAwaitTheSame,
  mustRepeat,
  newNotes,
  noSuchCall,
  replyOf,
  settle,
  stillMay,
} from "./call.ts";
import { affordCall, judgeAtDoor } from "./judge.ts";
import { refuseClosed } from "./port.ts";
import { asksForMore } from "./raise.ts";
import { never, type Run } from "./run.ts";
import { Sendings } from "./sending.ts";
import {
  type AnySyscall,
  type CallContext,
  NO_CALL,
  Parked,
  STEP_OVER,
  type World,
} from "./syscall.ts";

/** The door. */
export class Broker {
  readonly table: ReadonlyMap<string, AnySyscall>;
  readonly world: World;
  readonly host: Host;
  /** Effects that are being sent now, by call id: a run that comes again waits for the same one. */
  readonly sending: Sendings = new Sendings();

  /** A door over a table of calls. */
  constructor(table: Readonly<Record<string, AnySyscall>>, world: World, host: Host) {
    this.table = new Map(Object.entries(table));
    this.world = world;
    this.host = host;
  }

  /** Makes a call from inside `parent` ("" for the step itself). Throws `SysError`. */
  call(run: Run, parent: string, name: string, rawArgs: unknown): Promise<unknown> {
    if (!run.alive) return never();
    return this.callAt(run, run.nextKey(parent), name, rawArgs);
  }

  /** Makes a call at a place that was taken for it. */
  async callAt(run: Run, key: string, name: string, rawArgs: unknown): Promise<unknown> {
    if (!run.alive) return never();
    run.began();
    try {
      return await this.#call(run, key, name, rawArgs);
    } finally {
      run.returned();
    }
  }

  #call(run: Run, key: string, name: string, rawArgs: unknown): unknown {
    const { tree } = run;
    const process = processOf(tree.state, run.pid);
    const recorded = Object.hasOwn(process.journal, key) ? process.journal[key] : undefined;
    const cwd = recorded?.state === "open" ? recorded.intent.cwd : process.cwd;
    const dot = key.lastIndexOf(".");
    const frame = dot < 0 ? undefined : run.frames.get(key.slice(0, dot));
    const notes = newNotes();
    let def = NO_CALL;
    let args: Json | undefined;
    try {
      def = this.lookUp(name);
      args = decode(def, name, rawArgs);
      // What the log answers costs nothing; how many are in flight differs from run to run.
      if (recorded === undefined) {
        bound(run, key, name, frame !== undefined || def.asks === "ahead");
      }
      if (frame !== undefined) refuseClosed(frame, def, name);
    } catch (error) {
      // Of trusted code's mistakes the log says nothing; a tool's have their place in its run (P3).
      if (frame === undefined || !(error instanceof SysError)) throw error;
      const shown = { name: boundedName(name), args: args ?? bounded(rawArgs) };
      const call: Call = { run, tree, process, key, def, cwd, frame, notes, ...shown };
      return recorded === undefined ? this.#fail(call, error) : this.#again(call, recorded);
    }
    const call: Call = { run, tree, process, key, name, def, args, cwd, frame, notes };
    if (recorded !== undefined) return this.#again(call, recorded);
    if (process.life.state !== "ready") {
      throw new SysError("ECANCELED", `Cannot call "${name}": process "${run.pid}" is stopped`);
    }
    mustAwaitTheSame(call);
    if (process.parked[key]?.interrupted === true) {
      return this.#fail(call, new SysError("ECANCELED", `Cannot finish "${name}": interrupted`));
    }
    return this.#fresh(asEdited(call));
  }

  /** The record of a call; `ENOSYS` when there is none. */
  lookUp(name: string): AnySyscall {
    const def = this.table.get(name);
    if (def !== undefined) return def;
    throw noSuchCall(name);
  }

  /** A call which the log knows: answered from there (D1), or an effect whose outcome is open. */
  #again(given: Call, recorded: Recorded): unknown {
    mustRepeat(given, recorded);
    const call = asRecorded(given, recorded);
    if (recorded.state === "done") {
      if (call.def.ends !== true || !recorded.result.ok) return settle(recorded.result);
      call.run.end("over");
      return never();
    }
    const sending = this.sending.get(callId(call));
    if (sending !== undefined) return this.#hear(call, sending);
    return this.#hear(
      call,
      this.sending.track(call, () => settleLost(this, call, recorded.intent)),
    );
  }

  /** A call that is made for the first time. */
  #fresh(call: Call): unknown {
    const { def } = call;
    return this.#cleared(call, (judged) => {
      if ("compose" in def) return this.#compose(call, judged.decision);
      if (def.prepare !== undefined) return this.#prepared(call, def.prepare);
      return this.#act(call, judged, undefined);
    });
  }

  /** Goes on with a call when nothing stands against it now; else it is refused, or asked about. */
  #cleared(call: Call, goOn: (judged: Verdict & { is: "allowed" }) => unknown): unknown {
    const judged = judgeAtDoor(this, call);
    if (judged.is === "refused") return this.#fail(call, judged.error, judged.decision);
    if (judged.is === "ask") {
      // What it sends is a part of what is asked about, so it is put together first.
      const { prepare, sends } = call.def;
      const isReady = judged.sink === undefined || sends === undefined || prepare === undefined;
      if (isReady || call.notes.sends !== undefined) return this.#ask(call, judged);
      return this.#prepared(call, prepare);
    }
    try {
      affordCall(this, call);
    } catch (error) {
      const draft = new Draft(call.tree, this.now(call.tree));
      if (asksForMore(draft, call, error)) return this.#park(call, draft);
      return this.#failWith(call, error, judged.decision);
    }
    return goOn(judged);
  }

  async #prepared(
    call: Call,
    prepare: NonNullable<AnySyscall["prepare"]>,
  ): Promise<unknown> {
    let prepared: unknown;
    try {
      prepared = call.notes.prepared = await prepare(this.context(call), call.args);
      const { sends } = call.def;
      if (sends !== undefined) call.notes.sends = () => sends(prepared);
    } catch (error) {
      return this.#failWith(call, error);
    }
    if (!stillMay(call)) return never();
    // Again: a capability may have been revoked, or spent, while this was being prepared.
    return this.#cleared(call, (judged) => this.#act(call, judged, prepared));
  }

  #act(call: Call, judged: Verdict & { is: "allowed" }, prepared: unknown): unknown {
    switch (call.def.effect) {
      case "observe":
        return this.#observe(call, judged, prepared);
      case "mutate":
        return this.#mutate(call, judged, prepared);
      case "emit":
        return this.#hear(
          call,
          this.sending.track(call, () => sendEffect(this, call, { judged, prepared })),
        );
    }
  }

  /** A rule wants a person's word: asks for it, or hears that it was no. */
  #ask(call: Call, judged: Verdict & { is: "ask" }, preview?: string): unknown {
    const isAhead = call.def.asks === "ahead";
    const refused = isAhead ? refusedAhead(call, judged) : refusedByPerson(call);
    if (refused !== null) return this.#fail(call, refused, refusal(judged));
    if (isAhead) return this.#askAhead(call, judged);
    if (call.def.preview !== undefined && preview === undefined) return this.#show(call);
    const draft = new Draft(call.tree, this.now(call.tree));
    try {
      askPerson(draft, call, { judged, preview });
    } catch (error) {
      return this.#failWith(call, error);
    }
    return this.#park(call, draft);
  }

  /** Asks a person, and tells the caller to come again. */
  async #askAhead(call: Call, judged: Verdict & { is: "ask" }): Promise<never> {
    const draft = new Draft(call.tree, this.now(call.tree));
    let asked: ReturnType<typeof askAhead>;
    try {
      asked = askAhead(draft, call, judged);
    } catch (error) {
      return this.#failWith(call, error);
    }
    this.#record(call, failure(asked.error), asked.judged, draft);
    await this.host.durable(call.tree);
    throw asked.error;
  }

  /** Works out what the person is to be shown, then asks, if asking is still what it comes to. */
  async #show(call: Call): Promise<unknown> {
    let preview: string;
    try {
      preview = await call.def.preview!(this.context(call), call.args as never);
    } catch (error) {
      return this.#failWith(call, error);
    }
    if (!stillMay(call)) return never();
    const later = judgeAtDoor(this, call);
    return later.is === "ask" ? this.#ask(call, later, preview) : this.#fresh(call);
  }

  #observe(call: Call, judged: Verdict & { is: "allowed" }, prepared: unknown): unknown {
    const def = call.def as AnySyscall & { effect: "observe" };
    let reply: unknown;
    try {
      reply = def.run(this.context(call), call.args, prepared);
    } catch (error) {
      return this.#failWith(call, error, judged.decision);
    }
    if (!(reply instanceof Promise)) return this.#observed(call, judged, { reply, isLate: false });
    return reply.then(
      (late) => this.#observed(call, judged, { reply: late, isLate: true }),
      (error) => this.#failWith(call, error, judged.decision),
    );
  }

  /** What was read is written down and given to the caller, if it still may have it. */
  #observed(call: Call, judged: Verdict & { is: "allowed" }, seen: {
    readonly reply: unknown;
    /** Whether something may have changed since the call was judged. */
    readonly isLate: boolean;
  }): unknown {
    let result: CallResult & { ok: true };
    let later: Verdict = judged;
    try {
      if (seen.isLate) {
        if (!stillMay(call)) return never();
        // Again: what covered the call may have been revoked, or spent by another, meanwhile.
        later = judgeAtDoor(this, call);
      }
      result = { ok: true, reply: replyOf(call, seen.reply) };
    } catch (error) {
      return this.#failWith(call, error, judged.decision);
    }
    if (later.is === "refused") return this.#fail(call, later.error, later.decision);
    if (later.is === "ask") return this.#ask(call, later);
    if (call.def.asks === "ahead") notePasses(call, later.decision);
    this.#record(call, result, later);
    return result.reply;
  }

  async #mutate(
    call: Call,
    judged: Verdict & { is: "allowed" },
    prepared: unknown,
  ): Promise<unknown> {
    const def = call.def as AnySyscall & { effect: "mutate"; run: unknown };
    assert(!("compose" in def), `"${call.name}" is composed and was run as one`);
    const draft = new Draft(call.tree, this.now(call.tree));
    let reply: unknown;
    let result: CallResult & { ok: true };
    try {
      reply = def.run(new DecidingContext(this, call, draft), call.args, prepared);
      const parked = reply instanceof Parked ? reply : null;
      if (parked !== null) wait(draft, call.process, { on: parked.on, ...askedBy(call) });
      result = { ok: true, reply: replyOf(call, parked || reply === STEP_OVER ? null : reply) };
    } catch (error) {
      return this.#failWith(call, error, judged.decision);
    }
    if (reply instanceof Parked) return this.#park(call, draft);
    this.#record(call, result, judged, draft);
    if (reply === STEP_OVER) call.run.end("over");
    await this.host.durable(call.tree);
    return reply === STEP_OVER ? never() : result.reply;
  }

  async #compose(call: Call, decision: Decision): Promise<unknown> {
    const { def } = call;
    assert("compose" in def, `"${call.name}" is not composed`);
    let result: CallResult & { ok: true };
    call.run.composing += 1;
    call.run.composes(call.key);
    try {
      const reply = await def.compose(this.context(call), call.args);
      if (!stillMay(call)) return never();
      result = { ok: true, reply: replyOf(call, reply) };
    } catch (error) {
      return this.#failWith(call, error, decision);
    } finally {
      call.run.composing -= 1;
    }
    this.#record(call, result, { is: "allowed", decision, spends: [] });
    await this.host.durable(call.tree);
    return result.reply;
  }

  /** Writes down what was decided, and lets the run go until it is woken. */
  async #park(call: Call, draft: Draft): Promise<never> {
    call.tree.commit(draft);
    call.run.end("parked");
    this.host.changed(call.tree);
    await this.host.durable(call.tree);
    return never();
  }

  async #hear(call: Call, sent: Promise<CallResult>): Promise<unknown> {
    const result = await sent;
    if (!call.run.alive) return never();
    return settle(result);
  }

  #record(
    call: Call,
    result: CallResult,
    judged: Verdict & { is: "allowed" },
    draft: Draft = new Draft(call.tree, this.now(call.tree)),
  ): void {
    draft.add("call.done", doneAs(call, result, judged));
    call.tree.commit(draft);
    this.host.changed(call.tree);
  }

  #failWith(call: Call, error: unknown, decision?: Decision): Promise<never> {
    if (error instanceof Panic) throw error;
    if (!stillMay(call)) return never();
    const outcome = toOutcome(error);
    return this.#fail(call, toError(outcome), decision);
  }

  /** Records a refusal or failure, so that a later run is told the same, and throws it. */
  #fail(call: Call, error: SysError, decision?: Decision): Promise<never> {
    const said = decision ?? { needs: [], by: [], effect: "allow" };
    const result = failure(error);
    if (call.process.life.state !== "ended") {
      this.#record(call, result, { is: "allowed", decision: said, spends: [] });
    }
    throw error;
  }

  /** Now, never before the tree's last line. */
  now(tree: Tree): number {
    return Math.max(this.world.clock.now(), tree.state.atMs);
  }

  /** What a handler is told of its call. */
  context(call: Call): CallContext {
    return new Context(this, call);
  }
}
