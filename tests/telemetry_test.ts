/**
 * Claims about telemetry: what a real collector is sent of agents in another process.
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { PORT_CALLS, PORT_ENDS, PORT_POSITIONS } from "../broker/port_surface.ts";
import { RealChildren } from "../providers/children.ts";
import { realClock } from "../providers/clock.ts";
import { realRandom } from "../providers/random.ts";
import type { SignalAttributes } from "../providers/telemetry.ts";
import { addContent } from "../runtime/telemetry_calls.ts";
import { ProcessSandbox } from "../sandboxes/process_sandbox.ts";
import { Place } from "./cli_place.ts";

const CLI = fileURLToPath(new URL("../cli/main.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../deno.json", import.meta.url));
const CHILD = fileURLToPath(new URL("telemetry_child.ts", import.meta.url));

interface Value {
  readonly stringValue?: string;
  readonly doubleValue?: number;
  readonly intValue?: string;
}
interface Span {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly links: readonly {
    readonly traceId: string;
    readonly spanId: string;
    readonly attributes: readonly { readonly key: string; readonly value: Value }[];
  }[];
  readonly attributes: readonly { readonly key: string; readonly value: Value }[];
  readonly status?: { readonly code?: number };
}
interface Metric {
  readonly name: string;
  readonly [kind: string]: unknown;
}

/** What a collector got. */
interface Collected {
  readonly spans: readonly Span[];
  readonly metrics: readonly Metric[];
  /** All that was sent, as text. */
  readonly text: string;
}

function exporting(address: string): Record<string, string> {
  return {
    OTEL_DENO: "true",
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_EXPORTER_OTLP_ENDPOINT: address,
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer COLLECTOR-KEY",
    LIBOS_MODEL_KEY: "MODEL-KEY",
  };
}

/** Runs the agents of `telemetry_child.ts` under a collector. */
function collect(...args: string[]): Promise<Collected> {
  return collected((address) => ({
    args: [CHILD, address, ...args],
    env: { ...exporting(address), OTEL_METRIC_EXPORT_INTERVAL: "300" },
  }));
}

/** Runs a program under a collector on this machine. */
async function collected(
  program: (address: string) => Deno.CommandOptions & { readonly args: string[] },
): Promise<Collected> {
  const spans: Span[] = [];
  const metrics: Metric[] = [];
  let text = "";
  const seen = Promise.withResolvers<void>();
  const options = { port: 0, hostname: "127.0.0.1", onListen: () => {} };
  await using server = Deno.serve(options, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/until-metrics") await seen.promise;
    const body = await request.text();
    if (pathname === "/v1/traces") {
      text += body;
      for (const { scopeSpans } of JSON.parse(body).resourceSpans) {
        for (const scope of scopeSpans) spans.push(...scope.spans);
      }
    }
    if (pathname === "/v1/metrics") {
      text += body;
      for (const { scopeMetrics } of JSON.parse(body).resourceMetrics) {
        for (const scope of scopeMetrics) metrics.push(...scope.metrics);
      }
      if (metrics.some(({ name }) => name === "libos.processes")) seen.resolve();
    }
    return Response.json({});
  });
  const address = `http://127.0.0.1:${server.addr.port}`;
  const { args, ...rest } = program(address);
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    ...rest,
    args: ["run", "-A", "--no-prompt", "--no-check", "--config", CONFIG, ...args],
    stdout: "null",
    stderr: "piped",
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return { spans, metrics, text };
}

function of(span: Span): Record<string, unknown> {
  return Object.fromEntries(span.attributes.map(({ key, value }) => [
    key,
    value.stringValue ?? value.doubleValue ?? value.intValue ?? value,
  ]));
}

function named(spans: readonly Span[], name: string): Span[] {
  return spans.filter((span) => span.name === name)
    .sort((a, b) => a.startTimeUnixNano < b.startTimeUnixNano ? -1 : 1);
}

function linksOf({ links }: Span): string[] {
  return links.map(({ attributes, spanId }) => `${attributes[0]?.value.stringValue} ${spanId}`);
}

const plain = await collect();

Deno.test("Each run of a step is a trace of its own, linked to the one before", () => {
  const quanta = named(plain.spans, "invoke_agent agent");
  assert(quanta.length > 1);
  assert.equal(new Set(quanta.map(({ traceId }) => traceId)).size, quanta.length);
  for (const [i, quantum] of quanta.entries()) {
    assert.equal(quantum.parentSpanId, "");
    const previous = linksOf(quantum).filter((link) => link.startsWith("previous "));
    assert.deepEqual(previous, i === 0 ? [] : [`previous ${quanta[i - 1]!.spanId}`]);
    const { "gen_ai.agent.id": pid, "gen_ai.conversation.id": root } = of(quantum);
    assert.deepEqual([pid, root], ["p_1", "p_1"]);
  }
});

Deno.test("A child's first trace is linked to its parent's", () => {
  const [child] = named(plain.spans, "invoke_agent child");
  const parents = named(plain.spans, "invoke_agent parent").map(({ spanId }) => spanId);
  const [link, ...rest] = linksOf(child!);
  assert.deepEqual(rest, []);
  assert(parents.some((id) => link === `parent ${id}`));
  assert.equal(of(child!)["libos.ppid"], "p_2");
});

Deno.test("Model calls, tools and calls stand under the run in which they were made", () => {
  const quanta = new Map(
    plain.spans.filter(({ name }) => name.startsWith("invoke_agent"))
      .map((span) => [span.spanId, span]),
  );
  const chats = named(plain.spans, "chat small");
  assert.equal(chats.length, 3);
  for (const chat of chats) {
    assert.equal(quanta.get(chat.parentSpanId)?.traceId, chat.traceId);
    assert.equal(chat.kind, 3);
    const said = of(chat);
    assert.equal(said["gen_ai.provider.name"], "acme");
    assert.equal(said["gen_ai.operation.name"], "chat");
    assert(Number(said["gen_ai.usage.input_tokens"]) > 0);
    assert(Number(said["gen_ai.usage.output_tokens"]) > 0);
    assert.deepEqual(said["gen_ai.response.finish_reasons"] !== undefined, true);
  }
  const [tool] = named(plain.spans, "execute_tool file_write");
  assert.equal(quanta.get(tool!.parentSpanId)?.name, "invoke_agent agent");
  assert.equal(of(tool!)["gen_ai.tool.name"], "file_write");
  const [write] = named(plain.spans, "libos.syscall file.write");
  assert.equal(write!.parentSpanId, tool!.spanId);
  assert.equal(write!.traceId, tool!.traceId);
});

Deno.test("What a program fetches stands under its run", () => {
  const fetched = plain.spans.find(({ attributes }) =>
    attributes.some(({ key, value }) => key === "url.path" && value.stringValue === "/inside")
  );
  const above = plain.spans.find(({ spanId }) => spanId === fetched!.parentSpanId);
  assert.equal(above?.name, "invoke_agent parent");
});

Deno.test("Calls say how they were let through: decision, capability, approval, no resource", () => {
  const [write] = named(plain.spans, "libos.syscall file.write");
  const said = of(write!);
  assert.equal(said["libos.right"], "file.write");
  assert.match(String(said["libos.cap.id"]), /^cap_1\.\d+$/);
  assert.match(String(said["libos.approval.id"]), /^req_1\.\d+$/);
  assert.match(String(said["libos.resource.hash"]), /^[0-9a-f]{16}$/);
  const [read] = named(plain.spans, "libos.syscall file.read");
  assert.equal(of(read!)["libos.decision"], "deny");
  assert.equal(of(read!)["error.type"], "EPERM");
  assert.equal(read!.status?.code, 2);
});

Deno.test("A person's answer is a span of its own, linked to who asked and from who went on", () => {
  const [approval, ...rest] = named(plain.spans, "libos.approval");
  assert.deepEqual(rest, []);
  assert.equal(approval!.parentSpanId, "");
  const quanta = named(plain.spans, "invoke_agent agent");
  assert(quanta.some(({ spanId }) => linksOf(approval!)[0] === `asked ${spanId}`));
  assert(quanta.some((one) => linksOf(one).includes(`approval ${approval!.spanId}`)));
  const said = of(approval!);
  assert.equal(said["libos.approval.outcome"], "approve");
  assert.equal(said["libos.scope"], "once");
  assert(Number(said["libos.wait_ms"]) >= 0);
  assert.match(String(said["libos.approval.id"]), /^req_1\.\d+$/);
});

Deno.test("A process that fails marks its last run", () => {
  const last = named(plain.spans, "invoke_agent parent").at(-1)!;
  assert.equal(last.status?.code, 2);
  assert.equal(of(last)["error.type"], "ENOENT");
});

Deno.test("Every span ends no sooner than it starts, and its parent was sent, too", () => {
  const ids = new Set(plain.spans.map(({ spanId }) => spanId));
  for (const span of plain.spans) {
    assert(BigInt(span.endTimeUnixNano) + 1_000_000n >= BigInt(span.startTimeUnixNano), span.name);
    assert(span.parentSpanId === "" || ids.has(span.parentSpanId), span.name);
  }
});

Deno.test("What is measured has the names and units of the conventions", () => {
  const names = new Set(plain.metrics.map(({ name }) => name));
  for (
    const name of [
      "gen_ai.client.token.usage",
      "gen_ai.client.operation.duration",
      "libos.processes",
      "libos.processes.ended",
      "libos.approvals.pending",
      "libos.approval.wait",
      "libos.syscalls",
      "libos.audit.lag",
    ]
  ) assert(names.has(name), name);
  const calls = plain.metrics.findLast(({ name }) => name === "libos.syscalls")!;
  const points = (calls["sum"] as { dataPoints: { attributes: Span["attributes"] }[] }).dataPoints;
  const decisions = new Set(points.map((one) => of(one as unknown as Span)["libos.decision"]));
  assert(decisions.has("allow") && decisions.has("deny"));
});

interface Point {
  readonly attributes: Span["attributes"];
  readonly count: string;
  readonly sum: number;
  readonly explicitBounds: readonly number[];
}

/** The last points of a histogram. */
function points(name: string): Point[] {
  const found = plain.metrics.findLast((one) => one.name === name);
  assert.equal(found?.["unit"], name === "gen_ai.client.token.usage" ? "{token}" : "s", name);
  return (found["histogram"] as { readonly dataPoints: Point[] }).dataPoints;
}

Deno.test("Durations have the buckets that the conventions advise", () => {
  const CALLS = [
    0.01,
    0.02,
    0.04,
    0.08,
    0.16,
    0.32,
    0.64,
    1.28,
    2.56,
    5.12,
    10.24,
    20.48,
    40.96,
    81.92,
  ];
  const LIVES = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6];
  const TOKENS = [
    ...[1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576],
    ...[4194304, 16777216, 67108864],
  ];
  for (
    const [name, bounds] of [
      ["gen_ai.client.operation.duration", CALLS],
      ["gen_ai.client.operation.time_to_first_chunk", CALLS],
      ["gen_ai.client.operation.time_per_output_chunk", CALLS],
      ["gen_ai.execute_tool.duration", CALLS],
      ["gen_ai.invoke_agent.duration", LIVES],
      ["gen_ai.client.token.usage", TOKENS],
    ] as const
  ) for (const one of points(name)) assert.deepEqual(one.explicitBounds, bounds, name);
});

Deno.test("Pieces of a streamed reply are timed, and a reply that came whole is not", () => {
  const said = (name: string) =>
    points(name).map((one) => {
      const { "gen_ai.provider.name": provider, "gen_ai.request.model": model } = of(one as never);
      return [provider, model, one.count];
    });
  const name = "gen_ai.client.operation";
  const of3 = ["openai-compatible", "m"];
  assert.deepEqual(said(`${name}.time_to_first_chunk`), [[...of3, "1"]]);
  assert.deepEqual(said(`${name}.time_per_output_chunk`), [[...of3, "2"]]);
});

Deno.test("Tools and processes are measured from their beginning to their end", () => {
  const rows = (name: string, key: string) =>
    points(name).map((one) => {
      const attributes = of(one as never);
      return [
        attributes[key],
        attributes["gen_ai.agent.name"],
        attributes["error.type"],
        one.count,
      ];
    }).sort();
  assert.deepEqual(rows("gen_ai.execute_tool.duration", "gen_ai.tool.name"), [
    ["file_read", "agent", "EPERM", "1"],
    ["file_write", "agent", undefined, "1"],
  ]);
  const lives = rows("gen_ai.invoke_agent.duration", "gen_ai.agent.name");
  assert.deepEqual(lives.map(([name, , failed, count]) => [name, failed, count]), [
    ["agent", undefined, "1"],
    ["child", undefined, "1"],
    ["parent", "ENOENT", "1"],
    ["streamer", undefined, "1"],
  ]);
  // A process lives longer than its tools run.
  const sum = (name: string) =>
    points(name).filter((one) => of(one as never)["gen_ai.agent.name"] === "agent")
      .reduce((sum, one) => sum + one.sum, 0);
  assert(sum("gen_ai.invoke_agent.duration") >= sum("gen_ai.execute_tool.duration"));
});

const PRIVATE = /PRIVATE-|out\.md|no\.env|COLLECTOR-KEY|MODEL-KEY/;

Deno.test("No content, no resource and no key is sent unless content was asked for", () => {
  assert.equal(PRIVATE.exec(plain.text)?.[0], undefined);
});

Deno.test("Content is sent when it was asked for, and keys are not", async () => {
  const { spans, text } = await collect("content");
  const [tool] = named(spans, "execute_tool file_write");
  assert.match(String(of(tool!)["gen_ai.tool.call.arguments"]), /PRIVATE-TEXT/);
  const chats = named(spans, "chat small");
  assert.match(String(of(chats.at(-1)!)["gen_ai.output.messages"]), /PRIVATE-ANSWER/);
  assert.equal(/COLLECTOR-KEY|MODEL-KEY/.exec(text)?.[0], undefined);
});

Deno.test("The command line sends telemetry when the environment turns the exporter on", async () => {
  await using place = await Place.make();
  const { spans } = await collected((address) => ({
    args: [CLI, "run", "spender.ts", "Hi", "--db", place.db],
    cwd: place.folder,
    env: exporting(address),
  }));
  assert(named(spans, "invoke_agent spender").length > 0);
});

Deno.test("What is labelled secret is not sent, whatever was asked for", () => {
  const told: SignalAttributes = {};
  const sight = { content: true };
  addContent(told, { "libos.reply": "PRIVATE" }, sight, { sensitivity: "secret", trust: "user" });
  assert.deepEqual(told, {});
  addContent(told, { "libos.reply": "shown" }, sight, { sensitivity: "public", trust: "user" });
  assert.deepEqual(told, { "libos.reply": "shown" });
});

Deno.test("A sandbox says how long a cage took to start", async () => {
  const started = Promise.withResolvers<number>();
  const sandbox = new ProcessSandbox({
    children: new RealChildren(),
    clock: realClock,
    random: realRandom,
    surface: { calls: PORT_CALLS, positions: PORT_POSITIONS, ends: PORT_ENDS },
    warm: true,
    started: started.resolve,
  });
  try {
    assert(await started.promise > 0);
  } finally {
    await sandbox.close();
  }
});
