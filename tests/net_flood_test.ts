/**
 * Servers that never stop, unpack without end, lead astray or want to be remembered.
 * @module
 */

import assert from "node:assert/strict";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { answer, failure, fetching, netOf, Site } from "./net_place.ts";

const ALL = (site: Site): string => `net.fetch(${site.origin}/**)`;
const HEAD = "HTTP/1.1 200 x\r\n";
const CHUNKED = `${HEAD}transfer-encoding: chunked\r\n\r\n`;

/** What a server says first, and then says again until nobody listens any more. */
const ENDLESS: readonly (readonly [string, string, string, RegExp])[] = [
  ["headers", HEAD, "a: b\r\n", /^ELIMIT: .*its head has more than 65536 bytes/],
  ["one header", `${HEAD}a: `, "bbbbbbbb", /^ELIMIT: .*its head/],
  ["a first line", "HTTP/1.1 200 ", "xxxxxxxx", /^ELIMIT: .*its head/],
  ["heads that say go on", "", "HTTP/1.1 100 x\r\n\r\n", /^EIO: .*more than 8 heads/],
  ["heads that tell early", "", "HTTP/1.1 103 x\r\nlink: a\r\n\r\n", /^EIO: .*more than 8 heads/],
  ["a body", `${HEAD}\r\n`, "aaaaaaaa", /^ELIMIT: .*its body has more than 2097152 bytes/],
  ["chunks", CHUNKED, "400\r\n" + "a".repeat(1024) + "\r\n", /^ELIMIT: .*its body has more/],
  ["chunks of one byte", CHUNKED, "1\r\na\r\n", /^ELIMIT: .*more than 32768 chunks/],
  ["a chunk's line", `${CHUNKED}1;`, "aaaaaaaa", /^ELIMIT: .*a chunk's line/],
  ["trailers", `${CHUNKED}0\r\n`, "a: b\r\n", /^ELIMIT: .*its trailers/],
];

Deno.test("net.fetch hangs up on who never stops, whatever it is that goes on", async () => {
  let now = ENDLESS[0]!;
  const gone: Promise<void>[] = [];
  await using site = new Site((_, conn) => {
    const [, first, again] = now;
    const over = (async () => {
      const more = new TextEncoder().encode(again.repeat(Math.ceil(16_384 / again.length)));
      await conn.write(new TextEncoder().encode(first));
      // Ends when the other side has hung up, and never by itself.
      for (;;) await conn.write(more);
    })().catch(() => {});
    gone.push(over);
    return over;
  });
  const found = await fetching(netOf(), [ALL(site)], async ({ sys }) => {
    const all: string[] = [];
    for (now of ENDLESS) all.push(await failure(sys.net.fetch({ url: site.origin })));
    return all;
  }) as string[];
  for (const [i, [what, , , expected]] of ENDLESS.entries()) {
    assert.match(found[i]!, expected, what);
  }
  await Promise.all(gone);
  assert.equal(gone.length, ENDLESS.length);
});

const ZEROS = new Uint8Array(4 * 2 ** 20);
const GZIP_PART = gzipSync(new Uint8Array(65_536));

/** Bodies that are small and unpack to much, or not to what they say. */
const BOMBS: readonly (readonly [string, string, () => Uint8Array, RegExp])[] = [
  ["brotli", "br", () => brotliCompressSync(ZEROS), /^EIO: .*"br", which nobody asked for/],
  ["deflate", "deflate", () => deflateSync(ZEROS), /^EIO: .*nobody asked for/],
  ["gzip", "GZip", () => gzipSync(ZEROS), /^ELIMIT: .*unpacks to more than/],
  [
    "gzip of many parts",
    "gzip",
    () => new Uint8Array(Array.from({ length: 64 }, () => [...GZIP_PART]).flat()),
    /^ELIMIT: .*unpacks to more than/,
  ],
  ["zstd", "zstd", () => zstdCompressSync(ZEROS), /^EIO: .*packed as "zstd", which nobody asked/],
  ["packing in packing", "gzip, br", () => gzipSync(gzipSync(ZEROS)), /^EIO: .*nobody asked for/],
  [
    "a packing and more behind it",
    "x-gzip",
    () => new Uint8Array([...gzipSync("a"), 1, 2, 3]),
    /^EIO: .*cannot be unpacked/,
  ],
  ["a packing by its prototype", "__proto__", () => new Uint8Array(9), /^EIO: .*nobody asked for/],
  ["half a packing", "gzip", () => gzipSync(ZEROS).subarray(0, 60), /^EIO: .*cannot be unpacked/],
];

Deno.test("net.fetch unpacks no bomb, by whatever it is packed", async () => {
  let now = BOMBS[0]!;
  await using site = new Site(() => answer(200, now[2](), [`content-encoding: ${now[1]}`]));
  const found = await fetching(netOf(), [ALL(site)], async ({ sys }) => {
    const all: string[] = [];
    for (now of BOMBS) all.push(await failure(sys.net.fetch({ url: site.origin })));
    return all;
  }) as string[];
  for (const [i, [what, , , expected]] of BOMBS.entries()) {
    assert.match(found[i]!, expected, what);
  }
});

Deno.test("A redirect leads to no other scheme, with no password, and to nothing that is no place", async () => {
  const places = [
    ...["file:///etc/hostname", "ftp://127.0.0.1/", "javascript:1", "data:text/plain,a", "http://"],
    ...["http://user:pass@127.0.0.1/", "//user@127.0.0.1/", "https://*/", "http:\\\\evil.test\\"],
    ...["gopher://127.0.0.1:1/_x", "http://127.0.0.1:99999/", "http://a\tb.test/", "https://[::1"],
  ];
  let at = 0;
  await using site = new Site(() => answer(302, "", [`location: ${places[at++]}`]));
  const found = await fetching(netOf(), [ALL(site), "net.fetch(**)"], async ({ sys }) => {
    const all: unknown[] = [];
    for (const _ of places) {
      const input = { url: site.origin };
      const { output } = await sys.tool.call({ name: "net_fetch", input });
      const { status, redirect = null, notFollowed = null } = output as Record<string, never>;
      all.push({ status, redirect, notFollowed });
    }
    return all as never;
  }) as { readonly status: number; readonly redirect: string | null; notFollowed: unknown }[];
  for (const [i, { status, redirect, notFollowed }] of found.entries()) {
    assert.equal(status, 302);
    // What can be read as an address is one, and is judged as such.
    if (redirect === null) continue;
    assert.match(String(notFollowed), /no public address|covers/, places[i]);
    assert.match(redirect, /^https?:\/\/[^@]*$/, places[i]);
  }
  assert.equal(site.seen.length, places.length);
});

Deno.test("Two servers that lead to each other are left after ten redirects", async () => {
  let back = "";
  await using one = new Site(() => answer(307, "", [`location: ${back}/`]));
  await using other = new Site(() => answer(307, "", [`location: ${one.origin}/`]));
  back = other.origin;
  const grants = [ALL(one), ALL(other)];
  const output = await fetching(netOf(), grants, async ({ sys }) => {
    const input = { url: one.origin };
    return (await sys.tool.call({ name: "net_fetch", input })).output;
  }) as Record<string, unknown>;
  assert.match(String(output["notFollowed"]), /10 redirects/);
  assert.equal(one.connections + other.connections, 11);
});

Deno.test("A server that wants to be remembered is not: no cookie is kept, sent or told", async () => {
  await using site = new Site(() =>
    answer(200, "ok", [
      "set-cookie: id=remember-me; Path=/",
      "set-cookie2: id=remember-me",
      "etag: a",
    ])
  );
  const heard = await fetching(netOf(), [ALL(site)], async ({ sys }) => {
    const all = [];
    for (let i = 0; i < 2; i++) all.push((await sys.net.fetch({ url: site.origin })).headers);
    return all;
  });
  assert.deepEqual(heard, [{ etag: "a" }, { etag: "a" }]);
  assert.equal(site.connections, 2);
  for (const request of site.seen) assert.doesNotMatch(request, /cookie|if-none-match|remember/i);
});

Deno.test("A name with a dot at its end, in other letters or in full width is the same name", async () => {
  await using site = new Site(() => answer(200, "ok"));
  const net = netOf({ "site.test": ["127.0.0.1"], "xn--bcher-kva.test": ["127.0.0.1"] });
  const { port } = site;
  const grants = [
    `net.fetch(http://site.test:${port}/**)`,
    `net.fetch(http://xn--bcher-kva.test:${port}/**)`,
    `net.fetch(http://127.0.0.1:${port}/**)`,
  ];
  const hosts = ["SITE.test.", "ｓｉｔｅ.test", "site。test", "bücher.test", "BÜCHER.test."];
  const found = await fetching(net, grants, async ({ sys }) => {
    const all: string[] = [];
    for (const host of hosts) {
      const { url, text } = await sys.net.fetch({ url: `http://${host}:${port}/` });
      all.push(`${new URL(url).hostname} ${text}`);
    }
    return all;
  });
  const [plain, coded] = ["site.test ok", "xn--bcher-kva.test ok"];
  assert.deepEqual(found, [plain, plain, plain, coded, coded]);
  const sent = site.seen.map((request) => /\r\nhost: ([^:]+)/.exec(request)?.[1]);
  assert.deepEqual(sent, found.map((text) => text.split(" ")[0]));
  const mixed = ["SITE.test..", "xn--a.test", "site\u200b.test"];
  const refused = await fetching(net, ["net.fetch(**)"], async ({ sys }) => {
    const all: string[] = [];
    for (const host of mixed) {
      all.push((await failure(sys.net.fetch({ url: `http://${host}:${port}/` }))).slice(0, 6));
    }
    return all;
  });
  const codes = refused as string[];
  assert.ok(codes.every((code) => /^(EINVAL|EACCES)/.test(code)), codes.join());
  assert.equal(site.seen.length, hosts.length);
});
