/**
 * Claims about the command line over a database that nodes share.
 * @module
 */

import { deepStrictEqual as equal, match } from "node:assert/strict";
import { allow, defineImage } from "../mod.ts";
import { serve } from "../server/mod.ts";
import { Place } from "./cli_place.ts";
import { FleetPlace, waiter } from "./fleet_place.ts";
import { noPostgres, type Server, startPostgres } from "./postgres_place.ts";

const ignore = noPostgres() !== undefined;
let server: Server;

Deno.test.beforeAll(async () => {
  if (!ignore) server = await startPostgres(["fsync=off"]);
});
Deno.test.afterAll(async () => {
  if (!ignore) await server.stop();
});

interface Row {
  readonly what: string;
  readonly state: string;
  readonly detail: string;
}

Deno.test({
  name: "Commands take a database wherever they take a file",
  ignore,
  fn: async () => {
    await using place = await Place.make();
    const fleet = new FleetPlace(server.url, `libos_cli_${Deno.pid}`);
    place.variables["LIBOS_DB"] = fleet.url;
    // Nothing is made by who only looks.
    const before = await place.libos("doctor", "--store", "-o", "json");
    const found = new Map((JSON.parse(before.out) as Row[]).map((row) => [row.what, row]));
    match(found.get("layout")!.detail, /no tables yet/);
    equal([before.exit, found.get("settings")!.state], [1, "bad"]);
    match(found.get("settings")!.detail, /fsync off, which loses commits/);
    match(found.get("commit")!.detail, /^\d+ ms/);

    const ran = await place.libos("run", "refused.ts", "Look");
    equal(ran.exit, 4, ran.err);
    {
      await using os = await fleet.node();
      await os.spawn(waiter, { goal: "Wait" });
      await os.runUntilIdle();
      await os.spawn(waiter, { goal: "Train", nodeSelector: { gpu: "yes" } });
    }
    match((await place.libos("ps")).out, /p_3 .*waiting\/node/);
    match((await place.libos("describe", "p_3")).out, /gpu=yes/);
    equal((await place.libos("ps", "-a", "-o", "name")).out, "p_1\np_2\np_3\n");
    match((await place.libos("logs", "p_1")).out, /denied|refused|EPERM/);
    match((await place.libos("verify")).out, /t_1/);
    // No node runs: this process takes the order itself.
    equal((await place.libos("send", "p_2", "hello")).exit, 0);
    match((await place.libos("describe", "p_2")).out, /Wait/);
    match((await place.libos("tree", "ls")).out, /t_2 .*live/);
    const after = await place.json<Row[]>("nodes", "ls");
    equal(new Set(after.map(({ state }) => state)), new Set(["gone"]));
    equal((await place.libos("init")).exit, 2);
    const doctor = await place.libos("doctor", "--store");
    match(doctor.out, /chain +ok +3 trees/);
    equal(
      (await place.libos("doctor", "--store", "--db", "postgres://u:SECRET@127.0.0.1:1/x"))
        .out.includes("SECRET"),
      false,
    );
    await fleet.close();
  },
});

Deno.test({
  name: "A database is sealed, proved, handed out and checked as a file is",
  ignore,
  fn: async () => {
    await using place = await Place.make();
    const fleet = new FleetPlace(server.url, `libos_cli_audit_${Deno.pid}`);
    place.variables["LIBOS_DB"] = fleet.url;
    equal((await place.libos("run", "refused.ts", "Look")).exit, 4);
    const early = await place.libos("audit", "seal");
    equal(early.exit, 3);
    match(early.err, /libos audit init makes it/);
    match((await place.libos("audit", "keys")).err, /No key yet/);
    const made = await place.json<{ key: string; made: boolean; keyFile: string }>("audit", "init");
    equal(made.made, true);
    equal((await Deno.stat(made.keyFile)).mode! & 0o777, 0o600);
    equal((await place.json<{ lines: number }>("audit", "seal")).lines, 0);
    equal((await place.libos("audit", "keys", "-o", "name")).out, `${made.key}\n`);
    match((await place.libos("verify")).out, /t_1.*OK\n\(seals\).*OK, sealed/);
    for (const words of [["prove", "t_1#2"], ["export"]]) {
      const { exit, out, err } = await place.libos("audit", ...words);
      equal(exit, 0, err);
      await place.write("handed.json", out);
      equal((await place.libos("verify", "handed.json", "--trust", made.key)).exit, 0);
    }
    // What a runtime writes from here is sealed under the same key.
    equal((await place.libos("run", "refused.ts", "Look")).exit, 4);
    const rotated = await place.json<{ key: string }>("audit", "rotate");
    equal((await place.libos("audit", "keys", "-o", "name")).out, `${made.key}\n${rotated.key}\n`);
    await fleet.sql("UPDATE $.audit_leaves SET body = replace(body, 't_1', 't_3')");
    equal((await place.libos("verify", "--trust", made.key)).exit, 7);
    await fleet.close();
  },
});

Deno.test({
  name: "A tree of another node is shown as the store has it, followed, steered and waited for",
  ignore,
  fn: async () => {
    await using place = await Place.make();
    const fleet = new FleetPlace(server.url, `libos_cli_elsewhere_${Deno.pid}`);
    {
      await using owner = await fleet.node({ autorun: true });
      const { pid } = await owner.spawn(waiter, { goal: "Wait there" });
      await fleet.until("SELECT FROM $.trees WHERE owner IS NOT NULL AND NOT ready");
      await using one = await fleet.node({ autorun: true });
      await using house = serve(one, { hostname: "127.0.0.1", port: 0 });
      const { secret } = house.tokens.create({ name: "ada", role: "admin" });
      const at = (path: string, init: RequestInit = {}) =>
        fetch(`${house.url}/v1/${path}`, {
          ...init,
          headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
        });
      const followed = await at(`processes/${pid}/events`);
      const paths = [
        ...["", "/timeline", "/capabilities", "/budget", "/tools", "/least-authority"]
          .map((path) => `processes/${pid}${path}`),
        ...["", "/events", "/state", "/diff?from=1", "/policy", "/effects", "/retention"]
          .map((path) => `trees/t_1${path}`),
      ];
      for (const path of paths) {
        const answer = await at(path);
        equal([path, answer.status], [path, 200]);
        await answer.body?.cancel();
      }
      equal((await (await at(`processes/${pid}`)).json()).elsewhere, true);
      equal((await (await at(`processes`)).json()).items[0].pid, pid);
      const there = ["--host", house.url, "--token", secret];
      match((await place.libos("ps", ...there)).out, /p_1 .*waiting\/message .*Wait there/);
      match((await place.libos("describe", pid, ...there)).out, /Node: +another one/);
      match((await place.libos("logs", pid, ...there)).out, /Wait there/);
      match((await place.libos("verify", "t_1", ...there)).out, /t_1.*OK/);
      // What only its node can do is refused, and nothing that was shown is changed by it.
      const body = JSON.stringify({ name: "here" });
      const refused = await at(`processes/${pid}/checkpoints`, { method: "POST", body });
      equal([refused.status, (await refused.json()).code], [503, "EFENCED"]);
      equal((await (await at("checkpoints?tree=t_1")).json()).items, []);
      const ended = at(`processes/${pid}/wait?timeoutMs=60000`);
      equal((await place.libos("pause", pid, ...there)).exit, 0);
      match((await place.libos("ps", ...there)).out, /p_1 .*paused/);
      equal((await place.libos("resume", pid, ...there)).exit, 0);
      equal((await place.libos("send", pid, "hello", ...there)).exit, 0);
      const { ended: isOver, result } = await (await ended).json();
      equal([isOver, result], [true, "hello"]);
      let heard = "";
      for await (const chunk of followed.body!.pipeThrough(new TextDecoderStream())) {
        heard += chunk;
        if (/"state":"ended/.test(heard)) break;
      }
      match(heard, /"state":"ended/);
      // Nobody took it by looking.
      const [row] = await fleet.sql("SELECT epoch FROM $.trees WHERE id = 1");
      equal(row!.epoch, "1");
    }
    await fleet.close();
  },
});

Deno.test({
  name:
    "serve is a node of its database: agents are started there, and it leaves when it is told to",
  ignore,
  fn: async () => {
    await using place = await Place.make();
    const fleet = new FleetPlace(server.url, `libos_cli_serve_${Deno.pid}`);
    const argv = ["serve", "waiter.ts", "--port", "0", "--db", fleet.url, "--own-workspace"];
    const child = place.spawn(...argv, "--node", "desk", "--node-label", "gpu=yes");
    await child.shows("Stop with Ctrl-C");
    place.variables["LIBOS_DB"] = fleet.url;
    const [node] = await place.json<Record<string, unknown>[]>("nodes", "ls");
    equal([node!["name"], node!["labels"]], ["desk", { gpu: "yes", node: "desk" }]);
    const started = await place.libos("spawn", "-d", "waiter", "Wait", "-o", "name");
    equal([started.exit, started.out], [0, "p_1\n"], started.err);
    const [row] = await fleet.sql("SELECT selector::text AS asks FROM $.trees");
    equal(JSON.parse(row!["asks"]), { node: "desk", "program:waiter@1": "yes" });
    equal((await place.libos("send", "p_1", "hello")).exit, 0);
    await fleet.until("SELECT FROM $.trees WHERE NOT live");
    match((await place.libos("ps", "-a")).out, /p_1 .*exited 0/);
    child.kill("SIGTERM");
    equal((await child.said()).exit, 0);
    match((await place.libos("nodes", "ls")).out, /desk +gone/);
    await fleet.close();
  },
});

Deno.test({
  name: "Nodes are listed, drained, cordoned and given trees, here and over HTTP",
  ignore,
  fn: async () => {
    await using place = await Place.make();
    const fleet = new FleetPlace(server.url, `libos_cli_nodes_${Deno.pid}`);
    {
      const lively = { autorun: true } as const;
      await using one = await fleet.node({ ...lively, node: { name: "one" } });
      const labels = { gpu: "yes" };
      await using two = await fleet.node({
        ...lively,
        node: { name: "two", labels },
      });
      await one.spawn(waiter, { goal: "Wait" });
      await using house = serve(one, { hostname: "127.0.0.1", port: 0 });
      const { secret } = house.tokens.create({ name: "ada", role: "admin" });
      const here = ["--db", fleet.url];
      const there = ["--host", house.url, "--token", secret];
      const owner = two.node.options.id;
      for (const where of [here, there]) {
        const rows = await place.json<Record<string, unknown>[]>("nodes", "ls", ...where);
        equal(rows.map(({ name, state }) => [name, state]), [["one", "active"], ["two", "active"]]);
        equal(rows[1]!.labels, { gpu: "yes", node: "two" });
        equal((await place.libos("nodes", "cordon", "two", ...where)).exit, 0);
        const refused = await place.libos("nodes", "move", "t_1", "--to", "two", ...where);
        match(refused.err, /it is cordoned, expected an active one/);
        match((await place.libos("nodes", "uncordon", "two", ...where)).out, /two +active/);
        equal((await place.libos("nodes", "drain", "three", ...where)).exit, 3);
      }
      equal((await place.libos("nodes", "move", "t_1", "--to", "two", ...there)).exit, 0);
      await fleet.until("SELECT FROM $.trees WHERE owner = $1", [owner]);
      match((await place.libos("nodes", "drain", "two", ...here)).out, /two +draining +0/);
      const viewer = house.tokens.create({ name: "eve", role: "viewer" }).secret;
      const asViewer = ["--host", house.url, "--token", viewer];
      equal((await place.libos("nodes", "drain", "one", ...asViewer)).exit, 4);
    }
    equal((await place.libos("nodes", "ls")).exit, 2);
    equal((await place.libos("serve", "--node", "a")).exit, 2);
    await fleet.close();
  },
});

const asker = defineImage({
  name: "asker",
  program: async ({ sys }) => {
    const { answer } = await sys.human.ask({ prompt: "Which port?" });
    const { entries } = await sys.file.list({ path: "." });
    await sys.process.exit({ result: { answer, isSeen: entries.length > 0 } });
  },
});

Deno.test({
  name: "What a tree of another node asks is shown and answered here, once, over HTTP and commands",
  ignore,
  fn: async () => {
    await using place = await Place.make();
    const fleet = new FleetPlace(server.url, `libos_cli_asks_${Deno.pid}`);
    {
      const asks = {
        autorun: true,
        approvals: "queue",
        images: [asker],
        policy: "ask file.list(./**)",
      } as const;
      await using owner = await fleet.node({ ...asks, workspace: place.folder });
      await using one = await fleet.node(asks);
      await using house = serve(one, { hostname: "127.0.0.1", port: 0 });
      const { secret } = house.tokens.create({ name: "ada", role: "admin" });
      const at = async (path: string, body?: unknown) => {
        const headers = { authorization: `Bearer ${secret}`, "content-type": "application/json" };
        const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
        const reply = await fetch(`${house.url}/v1/${path}`, { headers, ...init });
        return { status: reply.status, ...await reply.json() };
      };
      const there = ["--host", house.url, "--token", secret];
      const asked = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      let count = 0;
      owner.node.listen((_, lines) => {
        for (const { type } of lines) if (type === "human.asked") asked[count++]?.resolve();
      });
      const process = await owner.spawn(asker, {
        goal: "Ask there",
        grants: [allow("human.ask"), allow("file.list", "./**")],
      });
      const ended = process.wait();
      await asked[0]!.promise;
      const [{ id, kind, pid }] = (await at("approvals")).items;
      equal([id, kind, pid], ["req_1.1", "question", "p_1"]);
      const decision = { decision: { outcome: "answer", value: "8080" } };
      equal((await at(`approvals/${id}/decision`, decision)).status, 200);
      const again = await at(`approvals/${id}/decision`, decision);
      // 404 where its asker has heard already.
      match(`${again.status}`, /^40[49]$/);
      await asked[1]!.promise;
      match((await place.libos("approvals", ...there)).out, /req_1\.2 .*file\.list/);
      equal((await place.libos("approve", "req_1.2", ...there)).exit, 0);
      equal((await ended).result, { answer: "8080", isSeen: true });
      const late = await place.libos("deny", "req_1.2", "-m", "late", ...there);
      equal(late.exit, 3, late.err);
      match(late.err, /answered or withdrawn, and its asker has heard/);
      // Nobody took it by looking or by answering.
      const [row] = await fleet.sql("SELECT epoch FROM $.trees WHERE id = 1");
      equal(row!.epoch, "1");
    }
    await fleet.close();
  },
});
