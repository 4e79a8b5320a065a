/**
 * Secrets are searched for in every byte that a served runtime wrote, said and sent: its store while
 * it runs and after, its output, telemetry, answers, exports and errors.
 * @module
 */

import assert from "node:assert/strict";
import { besideServer } from "../cli/token.ts";
import { openaiCompatibleModel } from "../mod.ts";
import { connect } from "../server/client.ts";
import { privateFile } from "../server/mod.ts";
import { Child, Place } from "./cli_place.ts";
import { answer, Site } from "./net_place.ts";

const ROOT = new URL("..", import.meta.url);
/** What is sent in an agent's name, what opens the model, what opens the server. */
const CREDENTIAL = "cr3d/Ential+value==Zz-7781";
const MODEL_KEY = "m0del-Key_value/9912+Qq==";

const KEPT = "kept.json";

const BUYER = `import { defineImage } from "@agent-libos/core";
export default defineImage({
  name: "buyer",
  program: async ({ sys, goal }) => {
    const heard = [];
    for (const path of ["echo", "base64", "error", "odd"]) {
      const url = goal + "/" + path;
      for (const method of ["GET", "POST"]) {
        heard.push(await sys.net.fetch({ url, method, credential: "shop", body: method === "POST" ? "x" : "" })
          .catch((error) => error.message));
      }
    }
    await sys.object.create({ name: "heard", value: heard });
    await sys.human.tell({ message: JSON.stringify(heard).slice(0, 1_000) });
    throw new Error("fell over " + JSON.stringify(heard));
  },
});
`;

/** A shop that says back what it was sent, in many ways. */
function echoing(request: string): Uint8Array {
  const said = /x-shop-key: (.*)\r/.exec(request)?.[1] ?? "";
  const path = request.split(" ")[1];
  if (path === "/base64") return answer(200, btoa(`user:${said}`));
  if (path === "/error") return answer(500, JSON.stringify({ error: `no such key ${said}` }));
  if (path === "/odd") return new TextEncoder().encode(`HTTP/1.1 ${said}\r\n\r\n`);
  return answer(200, `you said ${said} ${encodeURIComponent(said)}`, [`x-echo: ${said}`]);
}

/** An endpoint of models that refuses a key, and says which. */
function refusing(request: string): Uint8Array {
  const key = /authorization: Bearer (.*)\r/i.exec(request)?.[1] ?? "";
  const message = `Incorrect key ${key} (${btoa(key)}, ${encodeURIComponent(key)})`;
  const body = JSON.stringify({ error: { message, type: "invalid_request_error" } });
  return answer(401, body, ["content-type: application/json"]);
}

/** A secret as it is, and in the forms in which it could be hidden. */
function formsOf(secret: string): string[] {
  const bytes = new TextEncoder().encode(secret);
  const base64 = [0, 1, 2].map((before) => {
    const text = new Uint8Array([...new Uint8Array(before), ...bytes]).toBase64();
    // Without the digits that hold bits of a neighbour.
    return text.slice(before === 0 ? 0 : before + 1, -4);
  });
  return [
    // And a part of it, which is left where a text is cut.
    ...[
      secret,
      secret.slice(0, 12),
      JSON.stringify(secret).slice(1, -1),
      encodeURIComponent(secret),
    ],
    ...[...base64, ...base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"))],
    ...[bytes.toHex(), bytes.toHex().toUpperCase(), [...secret].join("\0")],
  ];
}

/** Every file below a folder but those that are there to hold a secret. */
function filesIn(folder: string, found: Map<string, string> = new Map()): Map<string, string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) filesIn(path, found);
    else if (!path.endsWith(`/${KEPT}`)) {
      found.set(path, new TextDecoder("latin1").decode(Deno.readFileSync(path)));
    }
  }
  return found;
}

/** What a collector of telemetry was sent. */
function collector(): { readonly url: string; text(): string; end(): Promise<void> } {
  let text = "";
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (got) => {
    text += JSON.stringify([...got.headers]) + await got.text();
    return Response.json({});
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    text: () => text,
    end: () => server.shutdown(),
  };
}

function serving(place: Place, endpoint: string, telemetry: string): Child {
  const argv = ["serve", "buyer.ts", "agent", "--port", "0"];
  return new Child(
    new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-check", "--config", new URL("deno.json", ROOT).pathname],
        ...[new URL("cli/main.ts", ROOT).pathname, ...argv],
      ],
      cwd: place.folder,
      env: {
        ...{ LIBOS_CREDENTIALS: KEPT, LIBOS_OPERATOR: "bob", LIBOS_MODEL: endpoint },
        ...{ LIBOS_MODEL_ID: "small", LIBOS_MODEL_KEY: MODEL_KEY, LIBOS_OTEL_CONTENT: "1" },
        ...{ OTEL_DENO: "true", OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" },
        OTEL_EXPORTER_OTLP_ENDPOINT: telemetry,
      },
      ...{ stdin: "null", stdout: "piped", stderr: "piped" },
    }).spawn(),
  );
}

const PATHS: readonly string[] = [
  ...[
    "/v1/processes?all=true",
    "/v1/processes/p_1",
    "/v1/processes/p_2",
    "/v1/processes/p_1/timeline",
  ],
  ...["/v1/processes/p_1/conversation", "/v1/processes/p_2/conversation", "/v1/approvals"],
  ...[
    "/v1/trees/t_1/events",
    "/v1/trees/t_2/events",
    "/v1/calls/t_1/10?reveal=true",
    "/v1/audit",
    "/v1/effects",
    "/v1/tokens",
  ],
  ...[
    "/v1/objects",
    "/v1/objects/obj_1.1/versions/1?reveal=true",
    "/v1/trees/t_1/state",
    "/v1/overview",
    "/v1/capabilities",
    "/v1/whoami",
  ],
  ...["/v1/nothing", "/v1/processes/p_9", "/openapi.json"],
];

const COMMANDS: readonly (readonly string[])[] = [
  ...[["ps", "-a"], ["describe", "p_1"], ["logs", "p_1"], ["logs", "p_2"], ["effects", "p_1"]],
  ...[["events", "p_1", "-o", "jsonl"], ["events", "p_2", "-o", "jsonl"], ["audit", "ls", "t_1"]],
  ...[["audit", "export"], ["tree", "export", "t_1"], ["credential", "ls"], ["token", "ls"]],
  ...[["approvals"], ["credential", "rm", "none"], ["objects", "ls", "p_1"]],
];

Deno.test("No byte that a served runtime writes, says or sends holds a secret, in any form", async () => {
  await using place = await Place.make();
  await using shop = new Site(echoing);
  await using endpoint = new Site(refusing);
  const telemetry = collector();
  place.variables["LIBOS_CREDENTIALS"] = KEPT;
  await place.write("buyer.ts", BUYER);
  assert.equal((await place.libos("init")).exit, 0);
  place.secrets.push(CREDENTIAL);
  const add = ["credential", "add", "shop", "--origin", shop.origin, "--header", "x-shop-key"];
  assert.equal((await place.libos(...add)).exit, 0);
  const { secret: token } = await place.json<{ secret: string }>(
    ...["token", "create", "ada", "--role", "admin"],
  );
  const heard = new Map<string, string>();

  const server = serving(place, `${endpoint.origin}/v1`, telemetry.url);
  await server.shows("Stop with Ctrl-C");
  const beside = besideServer(privateFile(`${place.folder}/.libos/server.json`))!;
  const client = connect(beside.url, { token });
  const grants = [`allow net.fetch(${shop.origin}/**)`, "allow credential.use(shop)"];
  for (
    const spawned of [
      { image: "buyer", goal: shop.origin, grants: [...grants, "allow human.tell(**)"] },
      { image: "agent", goal: "think" },
    ]
  ) {
    const { pid } = await client.spawn(spawned as never);
    const url = `${beside.url}/v1/processes/${pid}/wait?timeoutMs=60000`;
    const ended = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    heard.set(`wait ${pid}`, await ended.text());
  }
  for (const path of PATHS) {
    for (const bearer of [token, `${token}x`]) {
      const headers = { authorization: `Bearer ${bearer}` };
      const got = await fetch(`${beside.url}${path}`, { headers });
      heard.set(`GET ${path} ${got.status}`, JSON.stringify([...got.headers]) + await got.text());
    }
  }
  for (const [path, text] of filesIn(place.folder)) heard.set(`${path} while it ran`, text);
  server.interrupt();
  const { out, err } = await server.said();
  heard.set("stdout", out);
  heard.set("stderr", err);
  heard.set("telemetry", telemetry.text());
  await telemetry.end();
  for (const [path, text] of filesIn(place.folder)) heard.set(path, text);
  for (const argv of COMMANDS) {
    const { out, err } = await place.libos(...argv);
    heard.set(`libos ${argv.join(" ")}`, out + err);
  }

  // Those whom they are for have them, and what was searched is what was written.
  assert.equal(shop.seen.filter((one) => one.includes(CREDENTIAL)).length, 8);
  assert.ok(endpoint.seen.some((one) => one.includes(MODEL_KEY)));
  const all = (part: RegExp) => [...heard].filter(([where]) => part.test(where)).map(([, x]) => x);
  for (
    const part of [
      /^wait p_1/,
      /reveal=true 200/,
      /libos\.db.* while/,
      /libos\.db$/,
      /^libos tree export/,
    ]
  ) {
    assert.ok(all(part).some((text) => text.includes("[credential shop]")), String(part));
  }
  assert.match(heard.get("wait p_2")!, /Incorrect key/);
  assert.match(heard.get("telemetry")!, /invoke_agent/);
  assert.match(heard.get("libos audit export")!, /libos\.seal|"seal/);
  for (const [where, text] of heard) {
    for (const secret of [CREDENTIAL, MODEL_KEY]) {
      for (const form of formsOf(secret)) assert.ok(!text.includes(form), `${where} has ${form}`);
    }
    for (const form of formsOf(token)) assert.ok(!text.includes(form), `${where} has the token`);
    // The file that says where the server is holds its own token, for its owner.
    if (where.includes("/server.json")) continue;
    for (const form of formsOf(beside.token)) assert.ok(!text.includes(form), `${where}: its own`);
  }
});

Deno.test("A key that an endpoint says is in no error, wherever its words are cut", async () => {
  let pad = 0;
  const model = openaiCompatibleModel({
    ...{ url: "http://127.0.0.1:1/v1", modelId: "small", apiKey: MODEL_KEY },
    fetch: () => {
      const message = `${"x".repeat(pad)} ${MODEL_KEY} ${btoa(MODEL_KEY)}`;
      const headers = { "content-type": "application/json" };
      return Promise.resolve(Response.json({ error: { message } }, { status: 401, headers }));
    },
  });
  const request = { model: model.id, messages: [], tools: [], idempotencyKey: "1" };
  for (; pad < 640; pad += 5) {
    const said = await model.generate(request, { signal: new AbortController().signal })
      .then(() => "", (error: Error) => error.message);
    assert.match(said, /status 401, x* ?/);
    for (const form of [MODEL_KEY, btoa(MODEL_KEY)]) {
      assert.ok(!said.includes(form.slice(0, 6)), said);
    }
  }
});
