/**
 * What a server says of itself to programs that collect it.
 * @module
 */

import assert from "node:assert/strict";
import { allow, createRuntime, defineImage } from "../mod.ts";
import { LIMITS } from "../kernel/limits.ts";
import { MetricBook } from "../providers/metric_book.ts";
import { Peaks } from "../providers/resident.ts";
import { scriptedModel } from "../testing.ts";
import { serve } from "../server/mod.ts";
import { brief, FleetPlace } from "./fleet_place.ts";
import { noPostgres, startPostgres } from "./postgres_place.ts";
import { serverPlace } from "./server_place.ts";

/** Measurements by name and labels, as they are read by the letter of the format. */
class Read {
  readonly types = new Map<string, string>();
  readonly values = new Map<string, number>();

  constructor(text: string) {
    assert(text.endsWith("\n"));
    let [about, name] = ["", ""];
    for (const line of text.slice(0, -1).split("\n")) {
      const help = /^# HELP ([a-z_:][a-z0-9_:]*) (?:[^\\]|\\\\|\\n)+$/i.exec(line);
      const type = /^# TYPE ([a-z_:][a-z0-9_:]*) (counter|gauge|histogram)$/i.exec(line);
      if (help !== null) {
        about = help[1]!;
        assert(!this.types.has(about), `${about} stands twice`);
        continue;
      }
      if (type !== null) {
        name = type[1]!;
        assert.equal(about, name, "HELP stands before TYPE");
        this.types.set(name, type[2]!);
        continue;
      }
      this.#sample(line, name);
    }
    for (const [name, type] of this.types) {
      assert.equal(type === "counter", name.endsWith("_total"), name);
    }
    this.#histograms();
  }

  #sample(line: string, name: string): void {
    const parts = /^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? (\S+)$/i.exec(line);
    assert(parts !== null, line);
    const [, sample, labels = "", value] = parts;
    const type = this.types.get(name);
    const ends = type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    assert(ends.some((end) => sample === name + end), line);
    const label = /^(?:[a-z_][a-z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"(?:,(?!$)|$))*$/i;
    assert.match(labels, label, line);
    const number = { "+Inf": Infinity, "-Inf": -Infinity, NaN }[value!] ?? Number(value);
    assert(value === "NaN" || !Number.isNaN(number), line);
    if (type !== "gauge") assert(number >= 0, line);
    assert(!this.values.has(`${sample}{${labels}}`), `${line} stands twice`);
    this.values.set(`${sample}{${labels}}`, number);
  }

  /** Each bucket has what the one before has, and the last has all. */
  #histograms(): void {
    const before = new Map<string, [number, number]>();
    for (const [key, count] of this.values) {
      const found = /^(.*)_bucket\{(.*?),?le="(.*)"\}$/.exec(key);
      if (found === null) continue;
      const [, name, labels, le] = found;
      const bound = le === "+Inf" ? Infinity : Number(le);
      const [lastBound, lastCount] = before.get(`${name}{${labels}}`) ?? [-Infinity, 0];
      assert(bound > lastBound && count >= lastCount, key);
      before.set(`${name}{${labels}}`, [bound, count]);
      if (bound !== Infinity) continue;
      assert.equal(this.values.get(`${name}_count{${labels}}`), count, key);
      assert(this.values.has(`${name}_sum{${labels}}`), key);
    }
  }

  /** The sum of the samples of a name whose labels have these. */
  of(name: string, ...labels: readonly string[]): number | undefined {
    const found = [...this.values].filter(([key]) =>
      key.startsWith(`${name}{`) && labels.every((one) => key.includes(one))
    );
    return found.length === 0 ? undefined : found.reduce((sum, [, value]) => sum + value, 0);
  }
}

/** What is measured, as soon as one who asked too often is answered again. */
async function patient(ask: () => Promise<Response>): Promise<Read> {
  for (;;) {
    const answer = await ask();
    const text = await answer.text();
    if (answer.status !== 429) return new Read(text);
  }
}

Deno.test("What is measured is told in the format of Prometheus, to whoever may read all", async () => {
  await using at = await serverPlace();
  const asker = defineImage({
    name: "asker",
    model: scriptedModel([{ tool: "clock_sleep", input: { ms: 1 } }, "PRIVATE"], {
      id: "acme/small",
    }),
    instructions: "PRIVATE",
  });
  const denied = defineImage({
    name: "denied",
    program: async ({ sys }) => {
      await sys.file.read({ path: "./PRIVATE" }).catch(() => {});
      await sys.process.exit({});
    },
  });
  for (const image of [asker, denied]) {
    const made = await at.runtime.spawn(image, { goal: "PRIVATE", labels: { team: "PRIVATE" } });
    await made.wait();
  }
  await at.runtime.runUntilIdle();
  const answer = await at.ask("viewer", "/metrics");
  assert.equal(answer.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const text = await answer.text();
  const read = new Read(text);
  assert.equal(read.of("libos_syscalls_total", 'decision="deny"'), 1);
  assert.equal(read.of("libos_processes_ended_total", 'outcome="exited"'), 2);
  assert.equal(read.of("gen_ai_client_operation_duration_seconds_count", 'model="small"'), 2);
  assert.equal(read.of("libos_build_info"), 1);
  assert(read.of("libos_steps_total")! >= 2);
  assert(read.of("libos_commit_seconds_count")! > 0);
  assert.equal(
    read.of("libos_commit_lines_total"),
    at.runtime.node.trees.reduce((sum, { state }) => sum + state.seq, 0),
  );
  assert(read.of("process_resident_memory_bytes")! > 1e6);
  assert.doesNotMatch(text, /PRIVATE|[pt]_[12]\b/);
  // Who looks takes nothing from others who look.
  const until = performance.now() + 200;
  while (performance.now() < until);
  const measured = () => patient(() => at.ask("viewer", "/metrics"));
  const lag = async (): Promise<number> =>
    (await measured()).of("libos_event_loop_lag_max_seconds")!;
  while (await lag() < 0.1);
  assert(await lag() >= 0.1);
  // Sums only rise.
  const again = await measured();
  for (const [key, value] of read.values) {
    if (/_total\{|_(bucket|count)\{/.test(key)) assert(again.values.get(key)! >= value, key);
  }
});

Deno.test("Nobody, and nobody who sees some trees only, is told what is measured of all", async () => {
  await using at = await serverPlace();
  const nobody = await at.ask(null, "/metrics");
  assert.equal(nobody.status, 401);
  assert.doesNotMatch(await nobody.text(), /libos_steps|HELP/);
  const labels = { team: "a" };
  const { secret } = at.server.tokens.create({ name: "a", role: "admin", labels });
  const some = await at.ask(null, "/metrics", { headers: { authorization: `Bearer ${secret}` } });
  assert.equal(some.status, 403);
  assert.doesNotMatch(await some.text(), /HELP/);
  const post = await at.ask("admin", "/metrics", { method: "POST" });
  assert.equal(post.status, 404);
  await post.body?.cancel();
});

Deno.test("Rows of a measurement are bounded, no count is lost, and any text is a label", () => {
  const book = new MetricBook();
  const count = book.counter({ name: "libos.x", unit: "{x}", about: "X\\\nY" });
  const long = book.histogram({ name: "libos.y", unit: "s", about: "Y", bounds: [1, 2] });
  const nasty = 'a"b\\c\nd{},=é';
  count(1, { "libos.of": nasty });
  for (let i = 0; i < 3 * LIMITS.metricSeriesMax; i++) {
    count(1, { "libos.of": `${i}` });
    long(i % 3, { "1.of": `${i}` });
  }
  book.gauge({ name: "libos.z", unit: "By", about: "Z" }, (to) => to(-Infinity, {}));
  const read = new Read(book.text());
  assert.equal(read.of("libos_x_total"), 3 * LIMITS.metricSeriesMax + 1);
  assert.equal(read.of("libos_x_total", 'of="a\\"b\\\\c\\nd{},=é"'), 1);
  const rows = [...read.values.keys()].filter((key) => key.startsWith("libos_x_total"));
  assert.equal(rows.length, LIMITS.metricSeriesMax + 1);
  assert.equal(read.of("libos_y_seconds_count"), 3 * LIMITS.metricSeriesMax);
  assert.equal(read.of("libos_y_seconds_bucket", 'le="1"'), 2 * LIMITS.metricSeriesMax);
  assert.equal(read.of("libos_z_bytes"), -Infinity);
});

Deno.test("Of what was seen the most is told for so many turns, however often it is asked", () => {
  const peaks = new Peaks(2);
  assert.equal(peaks.most(3), 3);
  peaks.turn(7);
  assert.deepEqual([peaks.most(1), peaks.most(1), peaks.most(9)], [7, 7, 9]);
  peaks.turn(2);
  assert.equal(peaks.most(1), 7);
  peaks.turn(2);
  assert.equal(peaks.most(1), 2);
});

Deno.test("Cages are told by what they do, and who waits for one", async () => {
  const counts = { cages: 5, warm: 1, busy: 3, waiting: 2 };
  const sandbox = {
    tier: "process" as const,
    run: () => Promise.reject(new Error("never")),
    counts: () => counts,
    close: () => Promise.resolve(),
  };
  const compiler = {
    check: () => Promise.reject(new Error("never")),
    close: () => Promise.resolve(),
  };
  await using os = await createRuntime({
    store: ":memory:",
    workspace: null,
    jit: { workshop: { sandbox, compiler } },
  });
  const read = new Read(os.watchers.measure(os.node).text());
  for (const [state, count] of Object.entries({ used: 3, warm: 1, kept: 1 })) {
    assert.equal(read.of("libos_cages", `state="${state}"`), count);
  }
  assert.equal(read.of("libos_cages_waiting"), 2);
  assert.equal(read.of("libos_cages_max"), LIMITS.cagesMax);
});

Deno.test({
  name: "A node over a database says whose trees it took, what was fenced, and how its lines are",
  ignore: noPostgres() !== undefined,
  fn: async () => {
    const server = await startPostgres(["fsync=off"]);
    const place = new FleetPlace(server.url, `libos_metrics_${Deno.pid}`);
    const allowed = defineImage({
      name: "stuck",
      program: async ({ sys }) => {
        await sys.clock.sleep({ ms: 86_400_000 });
      },
    });
    {
      await using os = await createRuntime({
        store: place.url,
        workspace: null,
        images: [brief, allowed],
        approvals: "deny",
        autorun: false,
        // It does not beat, and its lease outlasts the test.
        node: { name: "first", labels: { region: "eu" }, leaseMs: 86_400_000 },
      });
      await using http = serve(os);
      const { secret } = http.tokens.create({ name: "prometheus", role: "viewer" });
      const headers = { authorization: `Bearer ${secret}` };
      const ask = () => patient(() => fetch(`${http.url}/metrics`, { headers }));
      const stuck = await os.spawn(allowed, { goal: "stuck", grants: [allow("clock.sleep")] });
      await os.runUntilIdle();
      // What it did last may have one of its lines still; it gives it back.
      const free = (read: Read) => read.of("libos_store_connections", 'state="free"');
      let before = await ask();
      while (free(before) !== 4) before = await ask();
      assert.equal(before.of("libos_commit_refused_total"), undefined);
      assert.equal(before.of("libos_node_trees", 'node_name="first"', 'state="idle"'), 1);
      assert.equal(before.of("libos_store_connections_max"), 4);
      assert.equal(before.of("libos_store_connections"), 4);
      assert.equal(before.of("libos_store_statements_waiting"), 0);
      assert.equal(before.of("libos_inbox_items"), 0);
      assert.equal(before.of("libos_inbox_age_seconds"), 0);
      assert.equal(before.of("libos_node_lapses_total"), 0);
      assert(before.of("libos_node_beat_age_seconds")! >= 0);
      assert(before.of("libos_node_lease_seconds")! > 0);
      // Another node was given it meanwhile.
      await place.sql("UPDATE $.trees SET epoch = epoch + 1");
      const killed = stuck.signal("kill").catch(() => {});
      let after = await ask();
      while (after.of("libos_commit_refused_total") === undefined) after = await ask();
      assert.equal(after.of("libos_commit_refused_total", 'error_type="EFENCED"'), 1);
      await place.sql("UPDATE $.trees SET owner = NULL, epoch = epoch + 1");
      await os.runUntilIdle();
      await killed;
    }
    await place.close();
    await server.stop();
  },
});

Deno.test({
  name: "What is in inboxes of a database is counted, and what has every connection is told",
  ignore: noPostgres() !== undefined,
  fn: async () => {
    const server = await startPostgres(["fsync=off"]);
    const place = new FleetPlace(server.url, `libos_depth_${Deno.pid}`);
    {
      await using os = await place.node();
      const { store } = os.node.options;
      const read = async (): Promise<Read> => {
        const book = os.watchers.measure(os.node);
        await os.watchers.look();
        return new Read(book.text());
      };
      const { tree } = await store.create(null);
      for (const id of ["a", "b"]) await store.putInbox(tree, { id, body: {} });
      await place.sql("UPDATE $.inbox SET put = put - 90000 WHERE id LIKE '%a%'");
      let found = await read();
      while (found.of("libos_store_statements") !== 0) found = await read();
      assert.equal(found.of("libos_inbox_items"), 2);
      assert(found.of("libos_inbox_age_seconds")! >= 90);
      // Six stand still behind a lock, and there are connections for four.
      await place.sql("BEGIN; LOCK TABLE $.nodes");
      const asked = Array.from({ length: 6 }, () => store.fleet!().nodes());
      const held = new Read(os.watchers.measure(os.node).text());
      await place.sql("COMMIT");
      await Promise.all(asked);
      assert.equal(held.of("libos_store_connections", 'state="used"'), 4);
      assert.equal(held.of("libos_store_connections", 'state="free"'), 0);
      assert.equal(held.of("libos_store_statements"), 6);
      assert.equal(held.of("libos_store_statements_waiting"), 2);
    }
    await place.close();
    await server.stop();
  },
});
