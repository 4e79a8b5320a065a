/**
 * Processes: list, start, steer, talk to, wait for.
 * @module
 */

import { shownFrom } from "../shown_from.ts";
import { createRoute, z } from "@hono/zod-openapi";
import { SysError } from "../../kernel/errors.ts";
import { type Pid, treeOf } from "../../kernel/ids.ts";
import type { Json } from "../../kernel/json.ts";
import type { Process } from "../../kernel/state.ts";
import { isElsewhere } from "../../runtime/look.ts";
import { PERSON } from "../../kernel/label.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { parseRule } from "../../runtime/rule.ts";
import type { SpawnOptions } from "../../runtime/runtime.ts";
import type { Api, House } from "../api.ts";
import { isStillIn, need } from "../auth.ts";
import { Held } from "../guard.ts";
import { tagged } from "../page.ts";
import { Refusal } from "../problem.ts";
import { type Principal, reaches } from "../principal.ts";
import { processesNamed, processesOf } from "../search.ts";
import { seenProcess } from "../sight.ts";
import { messageShape, processPage, processQuery, processShape } from "../schema/process.ts";
import { type ProcessView, signalShape, spawnShape, waitShape } from "../schema/process.ts";
import { pageQuery, pidShape } from "../schema/shape.ts";
import { processView } from "../view/process.ts";
import { body, json, REFUSALS } from "./answer.ts";

const params = z.object({ pid: pidShape });

/** Adds them. */
export function processRoutes(app: Api, house: House): void {
  reading(app, house);
  waiting(app, house);
  steering(app, house);
  talking(app, house);
}

/** A process as it is now, if the one who asks may see it. */
async function shown(house: House, who: Principal, pid: string): Promise<ProcessView> {
  const seen = await seenProcess(house, who, pid as Pid);
  return processView(seen, seen.process);
}

function reading(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/processes",
      summary: "Processes, in order of tree and number",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { query: processQuery.extend(pageQuery.shape) },
      responses: { 200: json(processPage, "A page of processes"), ...REFUSALS },
    }),
    async (c) => {
      const { pid, ...query } = c.req.valid("query");
      const who = c.get("who");
      const view = await shownFrom(house, c);
      if (pid === undefined) return c.json(await processesOf(house, who, { view, ...query }), 200);
      const items = await processesNamed(house, who, { view, pids: [pid].flat() as Pid[] });
      return c.json({ items, next: null }, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/processes/{pid}",
      summary: "One process",
      description: "The ETag is the last line of its tree. Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params },
      responses: {
        200: json(processShape, "The process"),
        304: { description: "As it was" },
        ...REFUSALS,
      },
    }),
    async (c) => {
      const view = await shown(house, c.get("who"), c.req.valid("param").pid);
      return tagged(c, `${view.tree}.${view.seq}.${view.state}`)
        ? c.body(null, 304)
        : c.json(view, 200);
    },
  );
}

function waiting(app: Api, house: House): void {
  const waits = new Held("waits", LIMITS.httpWaitsPerPrincipalMax);
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/processes/{pid}/wait",
      summary: "Wait until a process has ended, or the time is up",
      description: "Role: viewer; operator for what it exited with, null for others.",
      middleware: [need("viewer")] as const,
      request: {
        params,
        query: z.object({
          timeoutMs: z.coerce.number().int().min(0).max(LIMITS.httpWaitMsMax).default(30_000),
        }),
      },
      responses: { 200: json(waitShape, "How it ended, or that it has not"), ...REFUSALS },
    }),
    async (c) => {
      const { pid } = c.req.valid("param");
      await seenProcess(house, c.get("who"), pid as Pid);
      await waits.hold(
        c.get("who").token,
        () => waited(house, pid as Pid, c.req.valid("query").timeoutMs),
      );
      if (!isStillIn(c, house)) {
        throw new Refusal("unauthenticated", "Cannot answer: signed out meanwhile");
      }
      const seen = await seenProcess(house, c.get("who"), pid as Pid);
      const process = processView(seen, seen.process);
      const result = reaches(c.get("who").role, "operator") ? resultOf(seen.process) : null;
      return c.json({ ended: process.state === "ended", process, result }, 200);
    },
  );
}

/** What a process exited with, if it did. */
function resultOf({ life }: Process): Json {
  const exited = life.state === "ended" && life.outcome.kind === "exited" ? life.outcome : null;
  return exited?.result ?? null;
}

/** Waits until a process has ended, or the time is up. */
async function waited(house: House, pid: Pid, timeoutMs: number): Promise<void> {
  const over = new AbortController();
  const late = new AbortController();
  void house.clock.sleep(timeoutMs, over.signal).then(() => late.abort(), () => {});
  const signal = AbortSignal.any([late.signal, house.stopping]);
  try {
    while (!signal.aborted && !await hasEnded(house, pid, signal));
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  } finally {
    over.abort();
  }
}

/** Whether a process has ended, when it has, or when it is worth to look again. */
async function hasEnded(house: House, pid: Pid, signal: AbortSignal): Promise<boolean> {
  const { runtime, clock, glances } = house;
  const seen = await glances.of(treeOf(pid));
  if (seen.tree.state.processes[pid]?.life.state === "ended") return true;
  // Nobody tells here what becomes of a tree of another node.
  if (seen.isElsewhere === true) {
    await clock.sleep(LIMITS.elsewhereLookMs, signal);
    return false;
  }
  try {
    await (await runtime.get(pid))!.wait({ signal });
    return true;
  } catch (thrown) {
    // It went to another node meanwhile.
    if (isElsewhere(runtime.node, thrown)) return false;
    throw thrown;
  }
}

function steering(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/processes",
      summary: "Start a tree: a root process with exactly these rights",
      description: "With an `Idempotency-Key`, a second request returns the live process of the " +
        "first, after a restart too. Role: operator.",
      middleware: [need("operator")] as const,
      request: { body: body(spawnShape) },
      responses: { 201: json(processShape, "The process"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const key = c.req.header("idempotency-key");
      const pid = await spawned(house, who, c.req.valid("json"), key);
      c.header("location", `/v1/processes/${pid}`);
      return c.json(await shown(house, who, pid), 201);
    },
  );
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/processes/{pid}/signals",
      summary: "Pause, resume, cancel or kill a process and all below it",
      description: "Role: operator.",
      middleware: [need("operator")] as const,
      request: { params, body: body(signalShape) },
      responses: { 200: json(processShape, "The process"), ...REFUSALS },
    }),
    async (c) => {
      const { pid } = c.req.valid("param");
      const who = c.get("who");
      await seenProcess(house, who, pid as Pid);
      const order = { kind: "signal", pid: pid as Pid, by: who.name } as const;
      await house.runtime.order(treeOf(pid), { ...order, ...c.req.valid("json") });
      return c.json(await shown(house, who, pid), 200);
    },
  );
}

function talking(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/processes/{pid}/messages",
      summary: "Send a process a message",
      description: "Role: operator.",
      middleware: [need("operator")] as const,
      request: { params, body: body(messageShape) },
      responses: { 200: json(processShape, "The process"), ...REFUSALS },
    }),
    async (c) => {
      const { pid } = c.req.valid("param");
      const who = c.get("who");
      await seenProcess(house, who, pid as Pid);
      const { data, type, interrupt } = c.req.valid("json");
      await house.runtime.order(treeOf(pid), {
        kind: "message",
        to: pid as Pid,
        from: `person:${who.name}`,
        type,
        data: data as Json,
        interrupt,
        replyTo: null,
        label: { ...PERSON },
      });
      return c.json(await shown(house, who, pid), 200);
    },
  );
}

/** Starts what was asked for, as the one who asked. */
async function spawned(
  house: House,
  who: Principal,
  wish: z.output<typeof spawnShape>,
  key: string | undefined,
): Promise<string> {
  const { image, lacks, start } = await house.images.named(who, wish.image);
  if (lacks !== undefined) {
    throw new SysError("ENOSYS", `Cannot start image "${image.ref}": ${lacks}`);
  }
  const said: Partial<SpawnOptions> = wish.defaults ? start ?? {} : {};
  const { input, labels, cwd, priority, budget, goal = said.goal } = wish;
  if (goal === undefined) {
    throw new SysError("EINVAL", `Cannot start image "${image.ref}": no goal, expected one`);
  }
  const { wallMs, ...limits } = budget ?? {};
  const once = key ?? said.idempotencyKey;
  const process = await house.runtime.spawn(image, {
    ...said,
    goal,
    grants: [...said.grants ?? [], ...wish.grants.map(parseRule)],
    by: who.name,
    // Whoever sees only some labels starts only what carries them.
    labels: { ...said.labels, ...labels, ...who.labels },
    ...(input === undefined ? {} : { input: input as Json }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(priority === undefined ? {} : { priority }),
    budget: {
      ...said.budget,
      ...defined(limits),
      ...(wallMs === undefined ? {} : { wallClock: `${wallMs}ms` as const }),
    },
    ...(once === undefined ? {} : { idempotencyKey: `http:${who.token}:${once}` }),
  });
  return process.pid;
}

function defined<T extends object>(given: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as { [K in keyof T]: Exclude<T[K], undefined> };
}
