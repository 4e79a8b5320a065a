/**
 * net.fetch against real servers: what is sent, what is told of the answer, what is too much.
 * @module
 */

import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { allow } from "../mod.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Clock } from "../kernel/world.ts";
import { realClock } from "../providers/clock.ts";
import { answer, failure, fetching, netOf, Site, TEST_CA } from "./net_place.ts";
import { imageOf, inWorld } from "./world_fixture.ts";

const ALL = (site: Site): string => `net.fetch(${site.origin}/**)`;

Deno.test("net.fetch sends one plain request, and tells what was answered", async () => {
  await using site = new Site(() =>
    answer(200, "grüß", ["Content-Type: text/plain; charset=utf-8", "X-A: 1", "x-a: 2"])
  );
  const told = await fetching(
    netOf(),
    [ALL(site)],
    ({ sys }) => sys.net.fetch({ url: `${site.origin}/a?b=%20#c`, headers: { "X-Mine": "yes" } }),
  ) as Record<string, unknown>;
  assert.equal(
    site.seen.join("\n--\n"),
    [
      "GET /a?b=%20 HTTP/1.1",
      `host: 127.0.0.1:${site.port}`,
      "connection: close",
      "accept-encoding: gzip",
      "user-agent: agent-libos",
      "accept: */*",
      "x-mine: yes",
      "",
      "",
    ].join("\r\n"),
  );
  const { sha256, ...rest } = told;
  assert.equal(typeof sha256, "string");
  assert.deepEqual(rest, {
    url: `${site.origin}/a?b=%20`,
    status: 200,
    headers: { "content-type": "text/plain; charset=utf-8", "x-a": "1, 2" },
    type: "text/plain",
    text: "grüß",
    encoding: "utf8",
    bytes: 6,
    redirect: null,
    cut: null,
  });
});

Deno.test("net.fetch sends a body with its length, and a key where it is asked to", async () => {
  await using site = new Site(() => answer(201));
  await fetching(netOf(), [ALL(site)], async ({ sys }) => {
    await sys.net.fetch({
      url: site.origin,
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"a":"ü"}',
      idempotent: true,
    });
    await sys.net.fetch({ url: site.origin, method: "PUT", body: "AAE=", encoding: "base64" });
    await sys.net.fetch({ url: site.origin, method: "DELETE" });
  });
  const [post = "", put = "", remove = ""] = site.seen;
  assert.match(post, /^POST \/ HTTP\/1\.1\r\n/);
  assert.match(post, /\r\nidempotency-key: [0-9a-f]{32}\r\ncontent-length: 10\r\n\r\n\{"a"/);
  assert.ok(put.endsWith("\r\ncontent-length: 2\r\n\r\n\u0000\u0001"));
  assert.match(remove, /^DELETE .*\r\ncontent-length: 0\r\n\r\n$/s);
});

Deno.test("net.fetch reads bodies however they are cut and packed, as text or as base64", async () => {
  const json = "content-type: application/json";
  const answers: readonly (string | Uint8Array)[] = [
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nt: 1\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\nto the end",
    "HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokmore",
    answer(200, gzipSync('{"a":1}'), ["content-encoding: gzip", json]),
    answer(200, new Uint8Array([0, 255]), ["content-type: image/png"]),
    answer(200, new Uint8Array([0xff, 0xfe])),
    answer(200, new Uint8Array([0x67, 0xfc]), ["content-type: text/plain; charset=iso-8859-1"]),
    "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n",
  ];
  let next = 0;
  await using site = new Site(() => answers[next++]);
  const told = await fetching(netOf(), [ALL(site)], async ({ sys }) => {
    const all: string[] = [];
    for (const _ of answers) all.push((await sys.net.fetch({ url: site.origin })).text);
    return all;
  });
  assert.deepEqual(told, ["abcde", "to the end", "ok", '{"a":1}', "AP8=", "//4=", "gü", ""]);
});

/** What an expression would try each of on to the last. */
const SPACES = " ".repeat(60_000);

const BROKEN: readonly (readonly [string, string | Uint8Array, RegExp])[] = [
  ["nothing", "", /EIO: .*ended in its head/],
  ["no HTTP", "SSH-2.0-OpenSSH\r\n\r\n", /EIO: .*no HTTP/],
  ["another version", "HTTP/2 200\r\n\r\n", /EIO: .*no HTTP/],
  ["an odd status", "HTTP/1.1 999 x\r\n\r\n", /EIO: .*no HTTP/],
  ["a change of protocol", "HTTP/1.1 101 x\r\nupgrade: h2c\r\n\r\n", /EIO: .*protocol/],
  ["a folded header", "HTTP/1.1 200 x\r\na: b\r\n c: d\r\n\r\n", /EIO: .*no header/],
  ["a header with NUL", "HTTP/1.1 200 x\r\na: b\0c\r\n\r\n", /EIO: .*no header/],
  ["a header with a line end", "HTTP/1.1 200 x\r\na: b\nc: d\r\n\r\n", /EIO: .*no header/],
  ["space before a colon", "HTTP/1.1 200 x\r\na : b\r\n\r\n", /EIO: .*no header/],
  ["a huge header", `HTTP/1.1 200 x\r\na: ${"b".repeat(70_000)}\r\n\r\n`, /ELIMIT: .*head/],
  ["many headers", `HTTP/1.1 200 x\r\n${"a: b\r\n".repeat(20_000)}\r\n`, /ELIMIT: .*head/],
  ["spaces in a header", `HTTP/1.1 200 x\r\na: b${SPACES}c\u0001\r\n\r\n`, /EIO: .*no header/],
  ["spaces in a length", `HTTP/1.1 200 x\r\ncontent-length: 1${SPACES}2\r\n\r\n`, /EIO: .*number/],
  ["heads without end", "HTTP/1.1 100 x\r\n\r\n".repeat(50), /EIO: .*heads/],
  ["two lengths", "HTTP/1.1 200 x\r\ncontent-length: 1, 2\r\n\r\nab", /EIO: .*two lengths/],
  ["an odd length", "HTTP/1.1 200 x\r\ncontent-length: +1\r\n\r\na", /EIO: .*number/],
  [
    "a length in two ways",
    "HTTP/1.1 200 x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    /EIO: .*two ways/,
  ],
  [
    "an unknown cut",
    "HTTP/1.1 200 x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    /EIO: .*cut in an unknown way/,
  ],
  [
    "a chunk without a size",
    "HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    /EIO: .*chunk/,
  ],
  [
    "a chunk of a negative size",
    "HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n",
    /EIO: .*chunk/,
  ],
  [
    "a chunk that is too long",
    "HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n",
    /chunk/,
  ],
  [
    "a chunk of all there is",
    "HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\na",
    /ELIMIT: .*body/,
  ],
  [
    "a line of a chunk without end",
    `HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n1;${"a".repeat(5_000)}`,
    /ELIMIT: .*chunk's line/,
  ],
  [
    "trailers without end",
    `HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n${"a: b\r\n".repeat(20_000)}`,
    /ELIMIT: .*trailers/,
  ],
  ["a body that ends early", "HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\nabc", /EIO: .*ended/],
  [
    "a body that is announced too long",
    "HTTP/1.1 200 x\r\ncontent-length: 9999999\r\n\r\n",
    /ELIMIT/,
  ],
  ["a body that is too long", `HTTP/1.1 200 x\r\n\r\n${"a".repeat(2_200_000)}`, /ELIMIT: .*body/],
  ["an unknown packing", answer(200, "a", ["content-encoding: zstd"]), /EIO: .*zstd/],
  ["packing twice", answer(200, "a", ["content-encoding: gzip, gzip"]), /EIO: .*gzip/],
  ["no packing", answer(200, "abc", ["content-encoding: gzip"]), /EIO: .*unpacked/],
  [
    "a bomb",
    answer(200, gzipSync(new Uint8Array(64 * 2 ** 20)), ["content-encoding: gzip"]),
    /ELIMIT: .*unpacks to more than 2097152 bytes/,
  ],
  [
    "a small bomb",
    answer(200, gzipSync(new Uint8Array(1_000_000)), ["content-encoding: gzip"]),
    /ELIMIT: .*unpacks to more than 256 times/,
  ],
];

Deno.test("net.fetch ends what is broken or too much, with a limit for each", async () => {
  let now: string | Uint8Array = "";
  await using site = new Site(() => now);
  const found = await fetching(netOf(), [ALL(site)], async ({ sys }) => {
    const all: string[] = [];
    for (const [, bytes] of BROKEN) {
      now = bytes;
      all.push(await failure(sys.net.fetch({ url: site.origin })));
    }
    return all;
  }) as string[];
  for (const [i, [claim, , expected]] of BROKEN.entries()) {
    assert.match(found[i]!, expected, claim);
    assert.match(found[i]!, /: Cannot fetch "GET http:/, claim);
  }
});

const TIMEOUT_MS = 150;

/**
 * A clock whose time for a whole request is over as soon as its head is waited for, or was read:
 * never before, however slow the machine is. Nothing else is over.
 */
function clockOver(when: () => "waited for" | "read"): Clock {
  let over = (): void => {};
  return {
    ...realClock,
    sleep: (ms, signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      signal?.addEventListener("abort", () => reject(signal.reason));
      if (ms === TIMEOUT_MS) over = resolve;
      if (ms === LIMITS.netHeadMsMax) {
        if (when() === "waited for") over();
        else signal?.addEventListener("abort", () => over());
      }
      return promise;
    },
  };
}

Deno.test("net.fetch ends a body that comes slowly, and a head that does not come", async () => {
  const never = Promise.withResolvers<void>();
  let head = "HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\na";
  const clock = clockOver(() => head.includes("\r\n\r\n") ? "read" : "waited for");
  await using site = new Site(async (_, conn) => {
    await conn.write(new TextEncoder().encode(head));
    await never.promise;
  });
  const found = await fetching(netOf({}, { clock }), [ALL(site)], async ({ sys }) => {
    const get = { url: site.origin, timeoutMs: TIMEOUT_MS };
    const slow = await failure(sys.net.fetch(get));
    head = "HTTP/1.1 2";
    const none = await failure(sys.net.fetch(get));
    const post = { ...get, method: "POST" } as const;
    const doubt = await failure(sys.net.fetch(post));
    head = "HTTP/1.1 202 x\r\ncontent-length: 9\r\n\r\na";
    const { status, cut, text } = await sys.net.fetch(post);
    return [slow, none, doubt, `${status} ${text} ${cut}`];
  }) as string[];
  never.resolve();
  assert.match(found[0]!, /^ETIMEDOUT: .*took too long in 150 ms/);
  assert.match(found[1]!, /^ETIMEDOUT: /);
  assert.match(found[2]!, /^EINDOUBT: .*may have been done/);
  assert.match(found[3]!, /^202 {2}Cannot fetch .*took too long/);
});

Deno.test("net.fetch says that nothing was done only where that is so", async () => {
  await using site = new Site(() => "");
  const free = new Site(() => "");
  const { origin } = free;
  await free[Symbol.asyncDispose]();
  const found = await fetching(
    netOf(),
    [ALL(site), `net.fetch(${origin}/**)`],
    async ({ sys }) => [
      await failure(sys.net.fetch({ url: site.origin, method: "POST" })),
      await failure(sys.net.fetch({ url: site.origin })),
      await failure(sys.net.fetch({ url: origin, method: "POST" })),
    ],
  ) as string[];
  assert.match(found[0]!, /^EINDOUBT/);
  assert.match(found[1]!, /^EIO/);
  assert.match(found[2]!, /^EIO: .*nobody listens there/);
});

Deno.test("net.fetch reads an answer that comes before a large body was taken", async () => {
  await using site = new Site(async (_, conn) => {
    await conn.write(new TextEncoder().encode("HTTP/1.1 413 x\r\ncontent-length: 0\r\n\r\n"));
  });
  const status = await fetching(
    netOf(),
    [ALL(site)],
    async ({ sys }) =>
      (await sys.net.fetch({ url: site.origin, method: "POST", body: "a".repeat(900_000) })).status,
  );
  assert.equal(status, 413);
});

Deno.test("A request of a process that is killed is ended", async () => {
  const asked = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  await using site = new Site(async (_, conn) => {
    asked.resolve();
    // Reads until whoever asked hangs up.
    await conn.read(new Uint8Array(1)).catch(() => {});
    gone.resolve();
  });
  await inWorld(async (world) => {
    const image = imageOf(({ sys }) => sys.net.fetch({ url: site.origin }));
    const grants = [allow("net.fetch", `${site.origin}/**`)];
    const process = await world.os.spawn(image, { goal: "hang", grants });
    const running = world.os.runUntilIdle();
    await asked.promise;
    await process.signal("kill");
    await gone.promise;
    await running;
    assert.equal((await world.ended(process)).outcome.kind, "killed");
  }, { net: netOf() });
});

Deno.test("net.fetch asks only the host that proves its name, under the name", async () => {
  await using site = new Site(() => answer(200, "safe"), { isSecure: true });
  const names = { "site.test": ["127.0.0.1"], "other.test": ["127.0.0.1"] };
  const urls = ["site.test", "other.test", "127.0.0.1"].map((host) =>
    `https://${host}:${site.port}/`
  );
  const grants = urls.map((url) => `net.fetch(${url}**)`);
  const ask = (net: ReturnType<typeof netOf>) =>
    fetching(
      net,
      grants,
      ({ sys }) =>
        Promise.all(
          urls.map((url) => sys.net.fetch({ url }).then(({ text }) => text, (error) => error.code)),
        ),
    );
  assert.deepEqual(await ask(netOf(names, { caCerts: [TEST_CA] })), ["safe", "EIO", "safe"]);
  assert.deepEqual(await ask(netOf(names)), ["EIO", "EIO", "EIO"]);
  assert.ok(site.seen.every((request) => /host: (site\.test|127\.0\.0\.1):/.test(request)));
});

Deno.test("Without a net every request answers ENOSYS and says what to give", async () => {
  await inWorld(async (world) => {
    const said = await world.result(
      ({ sys }) => failure(sys.net.fetch({ url: "https://x.test/" })),
      { grants: [allow("net.fetch")] },
    );
    assert.match(String(said), /^ENOSYS: .*net: openNet\(\)/);
  });
});

Deno.test("net.fetch needs the method, the place and the path, and a host by name where private", async () => {
  await using site = new Site(() => answer(200));
  const { origin } = site;
  const found = await fetching(netOf(), [
    `net.fetch(GET ${origin}/a/**)`,
    `net.fetch(POST ${origin}/b)`,
    "net.fetch(https://**)",
  ], async ({ sys }) => {
    const ask = async (method: "GET" | "POST", path: string) =>
      (await failure(sys.net.fetch({ url: `${origin}${path}`, method }))).slice(0, 5);
    return [
      await ask("GET", "/a/x"),
      await ask("POST", "/a/x"),
      await ask("GET", "/b"),
      await ask("POST", "/b?c"),
      await ask("GET", "/a/../c"),
      await ask("GET", "/ab"),
    ];
  });
  assert.deepEqual(found, ["did n", "EPERM", "EPERM", "did n", "EPERM", "EPERM"]);
  assert.equal(site.seen.length, 2);
});
