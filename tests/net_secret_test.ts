/**
 * Credentials in requests: who is sent the secret, and that it is in nothing that was written or
 * told.
 * @module
 */

import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { createRuntime, openCredentials, type Rule } from "../mod.ts";
import { allow, ask } from "../mod.ts";
import { answer, failure, fetching, netOf, Site } from "./net_place.ts";
import { imageOf, inWorld } from "./world_fixture.ts";

const SECRET = "s3cr3t/Value+of=the&test";

function credentialsFor(site: Site, header?: string): ReturnType<typeof openCredentials> {
  return openCredentials({
    shop: {
      hosts: [site.origin],
      prefix: header === undefined ? "Bearer " : "",
      value: SECRET,
      ...(header === undefined ? {} : { header }),
    },
  });
}

Deno.test("A credential goes to its own origin, from who may use it, and is not the caller's", async () => {
  await using other = new Site(() => answer(200));
  await using site = new Site(() => answer(200, "ok"));
  const net = netOf({}, { credentials: credentialsFor(site) });
  const places = [site, other].map(({ origin }) => `net.fetch(${origin}/**)`);
  const ask = (grants: readonly string[], url: string, name = "shop") =>
    fetching(
      net,
      [...places, ...grants],
      async ({ sys }) => (await failure(sys.net.fetch({ url, credential: name }))).slice(0, 6),
    );
  assert.equal(await ask([], site.origin), "EPERM:");
  assert.equal(await ask(["credential.use(other)"], site.origin), "EPERM:");
  assert.equal(await ask(["credential.use(*)"], site.origin, "other"), "EACCES");
  assert.equal(await ask(["credential.use(shop)"], other.origin), "EACCES");
  assert.equal(site.connections + other.connections, 0);
  assert.equal(await ask(["credential.use(shop)"], site.origin), "did no");
  assert.match(site.seen[0]!, new RegExp(`\r\nauthorization: Bearer ${escaped(SECRET)}\r\n`));
});

Deno.test("A header of the caller does not stand in for that of a credential", async () => {
  await using site = new Site(() => answer(200));
  const net = netOf({}, { credentials: credentialsFor(site, "X-Api-Key") });
  await fetching(
    net,
    [`net.fetch(${site.origin}/**)`, "credential.use(shop)"],
    ({ sys }) =>
      sys.net.fetch({ url: site.origin, credential: "shop", headers: { "x-api-key": "mine" } }),
  );
  assert.deepEqual(site.seen[0]!.match(/x-api-key: .*/g), [`x-api-key: ${SECRET}`]);
});

Deno.test("A redirect carries no credential to another origin, and carries it on at its own", async () => {
  await using other = new Site(() => answer(200));
  await using site = new Site((request) =>
    request.startsWith("GET /a ")
      ? answer(302, "", ["location: /b"])
      : answer(307, "", [`location: ${other.origin}/c`])
  );
  const net = netOf({}, { credentials: credentialsFor(site) });
  const grants = [
    `net.fetch(${site.origin}/**)`,
    `net.fetch(${other.origin}/**)`,
    "credential.use(**)",
  ];
  await fetching(
    net,
    grants,
    ({ sys }) =>
      sys.tool.call({ name: "net_fetch", input: { url: `${site.origin}/a`, credential: "shop" } }),
  );
  assert.equal(site.seen.filter((request) => request.includes(SECRET)).length, 2);
  assert.equal(other.seen.length, 1);
  assert.doesNotMatch(other.seen[0]!, /authorization/i);
});

/** What a server may say back, in many forms. */
function echoes(secret: string): readonly Uint8Array[] {
  const html = ["content-type: text/html"];
  const utf16 = new Uint8Array(
    new Uint16Array([...secret].map((char) => char.charCodeAt(0))).buffer,
  );
  return [
    answer(200, `you said ${secret}`, ["content-type: text/plain", `x-echo: ${secret}`]),
    answer(200, JSON.stringify({ authorization: `Bearer ${secret}` })),
    answer(200, gzipSync(secret), ["content-encoding: gzip"]),
    answer(200, btoa(`user:${secret}`)),
    answer(200, encodeURIComponent(secret), html),
    answer(200, new TextEncoder().encode(secret).toHex()),
    answer(200, utf16, ["content-type: text/plain; charset=utf-16le"]),
    answer(200, secret, ["content-type: image/png"]),
    answer(302, "", [`location: /a?token=${encodeURIComponent(secret)}`]),
    answer(200, "", [`set-cookie: session=${secret}`]),
    answer(500, secret),
    answer(200, secret, ["content-encoding: zstd"]),
    answer(200, "a", [`content-encoding: ${"x".repeat(32)}${secret}`]),
    new TextEncoder().encode(`HTTP/1.1 ${secret}\r\n\r\n`),
    new TextEncoder().encode(`HTTP/1.1 200 ok\r\ncontent-length: ${secret}\r\n\r\n`),
  ];
}

Deno.test("A secret that is sent is in no byte that the runtime wrote or told", async () => {
  const folder = await Deno.makeTempDir();
  const answers = echoes(SECRET);
  let next = 0;
  await using site = new Site(() => answers[next++ % answers.length]);
  const told: string[] = [];
  const grants: Rule[] = [
    allow("net.fetch", `${site.origin}/**`),
    allow("credential.use", "shop"),
    allow("object.*"),
  ];
  {
    await using os = await createRuntime({
      store: `${folder}/libos.db`,
      workspace: null,
      approvals: "queue",
      net: netOf({}, { credentials: credentialsFor(site) }),
    });
    const process = await os.spawn(
      imageOf(async ({ sys }) => {
        const heard: unknown[] = [];
        for (let i = 0; i < 2 * answers.length; i++) {
          const method = i < answers.length ? "GET" : "POST";
          const asked = { url: site.origin, method, credential: "shop" } as const;
          heard.push(await sys.net.fetch(asked).catch((error: Error) => error.message));
        }
        await sys.object.create({ name: "heard", value: heard as never });
        return heard;
      }),
      { goal: "echo", grants },
    );
    const { result } = await process.wait();
    told.push(JSON.stringify(result));
    for await (const line of process.events()) told.push(JSON.stringify(line));
  }
  assert.equal(site.seen.filter((one) => one.includes(SECRET)).length, 2 * answers.length);
  for await (const entry of Deno.readDir(folder)) {
    const bytes = await Deno.readFile(`${folder}/${entry.name}`);
    told.push(new TextDecoder("latin1").decode(bytes));
  }
  assert.ok(told.some((text) => text.includes("[credential shop]")));
  for (const text of told) {
    for (const form of formsOf(SECRET)) assert.ok(!text.includes(form), `${form} was told`);
  }
  await Deno.remove(folder, { recursive: true });
});

function formsOf(secret: string): string[] {
  const bytes = new TextEncoder().encode(secret);
  return [
    secret,
    // A part of it, which is left where a text is cut.
    secret.slice(0, 8),
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    bytes.toBase64(),
    btoa(`user:${secret}`),
    bytes.toHex(),
    [...secret].join("\0"),
  ];
}

Deno.test("Who is asked about a request is shown where it goes, as it is sent, and no secret", async () => {
  await using site = new Site(() => answer(200));
  await inWorld(async (world) => {
    const body = "x".repeat(5_000);
    await world.start(
      imageOf(({ sys }) =>
        sys.net.fetch({ url: `${site.origin}/ü?a`, method: "POST", body, credential: "shop" })
      ),
      {
        grants: [
          allow("net.fetch", `${site.origin}/**`),
          ask("net.fetch", "POST http://**"),
          allow("credential.use"),
        ],
      },
    );
    const [request] = await world.os.approvals.list();
    assert.equal(request?.risk, "high");
    assert.equal(request?.call?.resource, `POST ${site.origin}/%C3%BC`);
    assert.equal(
      request?.preview?.split("\n").slice(1, 5).join("\n"),
      [
        `POST ${site.origin}/%C3%BC?a`,
        `host: 127.0.0.1, port ${site.port}, not encrypted, on no public net`,
        "in the name of credential: shop",
        "body, 5000 bytes:",
      ].join("\n"),
    );
    assert.ok(request!.preview!.length < 3_000);
    assert.equal(site.connections, 0);
    await world.os.approvals.decide(request!.id, { outcome: "approve" });
    await world.os.runUntilIdle();
    assert.equal(site.seen.length, 1);
  }, { net: netOf({}, { credentials: credentialsFor(site) }) });
});

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
