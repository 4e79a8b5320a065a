/**
 * Attacks by whom a process asks, and by whoever answers: each is seen at a server that hears
 * nothing.
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { allow, deny } from "../mod.ts";
import { answer, failure, fetching, netOf, Site } from "./net_place.ts";
import { inWorld } from "./world_fixture.ts";

const CHILD = fileURLToPath(new URL("net_proxied.ts", import.meta.url));

/** Ways to write this machine, with PORT for the port. */
const THIS_MACHINE: readonly string[] = [
  "http://127.0.0.1:PORT/",
  "http://127.1:PORT/",
  "http://0177.0.0.1:PORT/",
  "http://0x7f.0.0.1:PORT/",
  "http://0x7f000001:PORT/",
  "http://2130706433:PORT/",
  "http://017700000001:PORT/",
  "http://127.0.0.1.:PORT/",
  "http://１２７.０.０.１:PORT/",
  "http://①②⑦.0.0.1:PORT/",
  "http://127%2e0%2e0%2e1:PORT/",
  "http://0.0.0.0:PORT/",
  "http://0:PORT/",
  "http://127.255.255.254:PORT/",
  "http://[::1]:PORT/",
  "http://[::]:PORT/",
  "http://[::ffff:127.0.0.1]:PORT/",
  "http://[::ffff:7f00:1]:PORT/",
  "http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/",
  "http://[64:ff9b::127.0.0.1]:PORT/",
  "http://[2002:7f00:1::]:PORT/",
  "http://[::127.0.0.1]:PORT/",
  "http://localhost:PORT/",
  "http://LOCALHOST:PORT/",
  "http://localhost.:PORT/",
  "http://a.localhost:PORT/",
  "http://public@127.0.0.1:PORT/",
  "http://public.test:80@127.0.0.1:PORT/",
  "http://127.0.0.1:PORT\\@public.test/",
  "http:\\\\127.0.0.1:PORT/",
  "http:127.0.0.1:PORT/",
  "//127.0.0.1:PORT/",
  "http://127.0.0.1:PORT#@public.test/",
  "http://127.0.0.1:PORT?@public.test/",
  " http://127.0.0.1:PORT/",
  "ht\ntp://127.0.0.1:PORT/",
  "gopher://127.0.0.1:PORT/_GET",
  "file:///etc/hostname",
  "ws://127.0.0.1:PORT/",
  "blob:http://127.0.0.1:PORT/a",
  // Names that others made to lead here.
  "http://rebound.test:PORT/",
  "http://mapped.test:PORT/",
  "http://mixed.test:PORT/",
  "http://six.test:PORT/",
  "http://nat.test:PORT/",
  "http://spelled.test:PORT/",
  "http://none.test:PORT/",
  "http://db:PORT/",
];

const NAMES: { readonly [name: string]: readonly string[] } = {
  "rebound.test": ["127.0.0.1"],
  "mapped.test": ["::ffff:127.0.0.1"],
  "mixed.test": ["93.184.215.14", "127.0.0.1"],
  "six.test": ["::1"],
  "nat.test": ["64:ff9b::7f00:1"],
  "spelled.test": ["0x7f.1"],
  "db": ["127.0.0.1"],
};

Deno.test("Whoever may fetch from everywhere reaches nothing private, however it is written", async () => {
  await using site = new Site(() => answer(200, "inner"));
  const grants = ["net.fetch(**)", "net.fetch(http://*/**)", "net.fetch(http://127.0.0.*/**)"];
  const found = await fetching(netOf(NAMES), grants, async ({ sys }) => {
    const all: string[] = [];
    for (const text of THIS_MACHINE) {
      const url = text.replace("PORT", String(site.port));
      all.push(await failure(sys.net.fetch({ url })));
    }
    return all;
  }) as string[];
  for (const [i, url] of THIS_MACHINE.entries()) {
    assert.match(found[i]!, /^(EPERM|EACCES|EINVAL): /, url);
  }
  assert.equal(site.connections, 0);
});

Deno.test("Addresses of clouds, nets and groups are refused before anything is sent", async () => {
  const urls = [
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://168.63.129.16/machine?comp=goalstate",
    "http://192.0.0.192/opc/v1/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://198.18.0.1/",
    "http://192.0.2.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://[2001:0:808:808::80ff:fffe]/",
  ];
  const found = await fetching(
    netOf(),
    ["net.fetch(**)"],
    ({ sys }) => Promise.all(urls.map((url) => failure(sys.net.fetch({ url, timeoutMs: 2_000 })))),
  ) as string[];
  for (const [i, url] of urls.entries()) assert.match(found[i]!, /^EPERM: /, url);
});

Deno.test("A private host is reached by who was granted it letter by letter, and by no other", async () => {
  await using site = new Site(() => answer(200, "inner"));
  const at = (host: string) => `http://${host}:${site.port}/`;
  const ask = (grants: readonly string[], url: string) =>
    fetching(
      netOf(NAMES),
      grants,
      ({ sys }) => sys.net.fetch({ url }).then(({ text }) => text, (error) => error.code),
    );
  const all = "net.fetch(**)";
  const address = `net.fetch(${at("127.0.0.1")}**)`;
  assert.equal(await ask([all, address], at("127.0.0.1")), "inner");
  assert.equal(await ask([`net.fetch(http://127.1:${site.port})`], at("0x7f.1")), "inner");
  assert.equal(await ask([`net.fetch(http://127.0.0.1:80/**)`], at("127.0.0.1")), "EPERM");
  assert.equal(await ask([`net.fetch(http://127.0.0.1*/**)`], at("127.0.0.1")), "EPERM");
  assert.equal(await ask([`net.fetch(${at("localhost")}**)`], at("localhost")), "inner");
  assert.equal(await ask([address], at("localhost")), "EPERM");
  assert.equal(await ask([`net.fetch(${at("db")}**)`], at("db")), "inner");
  // A name of the public net is whoever owns it, not who was granted.
  assert.equal(await ask([`net.fetch(${at("rebound.test")}**)`], at("rebound.test")), "EACCES");
  assert.equal(await ask([all, address], at("rebound.test")), "inner");
  assert.equal(await ask([all, address], at("none.test")), "EACCES");
  assert.equal(site.seen.length, 5);
});

Deno.test("Narrowing what covers everything opens nothing private", async () => {
  await using site = new Site(() => answer(200));
  await inWorld(async (world) => {
    const code = await world.result(async ({ sys, pid }) => {
      const rule = `net.fetch(${site.origin}/**)`;
      await sys.capability.delegate({ to: pid, rule }).catch(() => {});
      return await failure(sys.net.fetch({ url: site.origin }));
    }, { grants: [allow("net.fetch"), allow("capability.delegate")] });
    assert.match(String(code), /^EPERM/);
  }, { net: netOf() });
  assert.equal(site.connections, 0);
});

Deno.test("A rule that denies an address denies it to names, too", async () => {
  await using site = new Site(() => answer(200));
  const code = await fetching(netOf(NAMES), [
    "net.fetch(**)",
    `net.fetch(${site.origin}/**)`,
    deny("net.fetch", `${site.origin}/secret/**`),
  ], async ({ sys }) => {
    const at = `http://rebound.test:${site.port}`;
    return [
      await failure(sys.net.fetch({ url: `${at}/open` })),
      (await failure(sys.net.fetch({ url: `${at}/secret/a` }))).slice(0, 6),
    ];
  });
  assert.deepEqual(code, ["did not fail", "EACCES"]);
});

Deno.test("A name is resolved once: what was checked is what is connected to", async () => {
  await using good = new Site(() => answer(200, "checked"));
  await using evil = new Site(() => answer(200, "evil"), {
    hostname: "127.0.0.2",
    port: good.port,
  });
  const answers = [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2"], ["127.0.0.1"]];
  let asked = 0;
  const net = netOf({}, { resolve: () => Promise.resolve(answers[asked++] ?? []) });
  const url = `http://rebind.test:${good.port}/`;
  const found = await fetching(net, ["net.fetch(**)", `net.fetch(${good.origin}/**)`], async ({
    sys,
  }) => {
    const first = (await sys.net.fetch({ url })).text;
    return [first, (await failure(sys.net.fetch({ url }))).slice(0, 6)];
  });
  assert.deepEqual(found, ["checked", "EACCES"]);
  assert.equal(asked, 2);
  assert.equal(evil.connections, 0);
});

Deno.test("Proxies of the environment are not asked", async () => {
  await using proxy = new Site(() => answer(200, "proxy"));
  await using site = new Site(() => answer(200, "direct"));
  // A process of its own: tests beside this one have the same environment, and clients of theirs.
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", CHILD, site.origin, proxy.origin],
    // Deno asks its own servers for news, through the same proxies.
    env: { DENO_NO_UPDATE_CHECK: "1" },
  }).output();
  const [said, wrong] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.equal(said, "direct", wrong);
  assert.deepEqual(proxy.seen, []);
});

Deno.test("No argument puts a line into what is sent", async () => {
  await using site = new Site(() => answer(200));
  const { origin } = site;
  const tries: readonly Record<string, unknown>[] = [
    { url: `${origin}/\r\nx-evil: 1` },
    { url: `${origin}/%0d%0ax-evil:%201` },
    { url: `${origin}/?a\r\nx-evil: 1` },
    { url: `${origin}/?a=%0d%0ax-evil:%201` },
    { url: origin, headers: { "a\r\nx-evil": "1" } },
    { url: origin, headers: { a: "b\r\nx-evil: 1" } },
    { url: origin, headers: { a: "b\nx-evil: 1" } },
    { url: origin, headers: { a: "b\u2028x-evil: 1" } },
    { url: origin, headers: { host: "evil.test" } },
    { url: origin, headers: { "Transfer-Encoding": "chunked" } },
    { url: origin, headers: { "content-length": "0" } },
    { url: origin, method: "GET / HTTP/1.1\r\nx-evil: 1\r\n" },
    { url: origin, method: "get" },
    { url: origin, method: "TRACE" },
    { url: origin, method: "CONNECT" },
    { url: origin, body: "GET / HTTP/1.1\r\nx-evil: 1\r\n\r\n" },
    { url: origin, credential: "a\r\nx-evil: 1" },
  ];
  await fetching(netOf(), [`net.fetch(${origin}/**)`, "credential.use(**)"], async ({ sys }) => {
    for (const one of tries) await sys.net.fetch(one as never).catch(() => {});
  });
  assert.equal(site.seen.length, 2);
  for (const request of site.seen) assert.doesNotMatch(request, /^x-evil/m);
});

/** What the tool for models answers. */
function tool(
  net: ReturnType<typeof netOf>,
  grants: readonly string[],
  input: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  return fetching(net, grants, async ({ sys }) => {
    const { output } = await sys.tool.call({ name: "net_fetch", input: input as never });
    return output;
  }) as Promise<Record<string, unknown>>;
}

Deno.test("The tool follows a redirect by a call that is judged as any other", async () => {
  await using inner = new Site(() => answer(200, "inner"), { hostname: "127.0.0.2" });
  await using outer = new Site((request) => {
    const path = request.split(" ")[1]!;
    if (path === "/here") return answer(200, "here");
    const to = path === "/in"
      ? `http://127.0.0.2:${inner.port}/`
      : path === "/near"
      ? "/here"
      : path;
    return answer(302, "", [`location: ${to}`]);
  });
  const grants = [`net.fetch(${outer.origin}/**)`, "net.fetch(https://**)", "net.fetch(http://**)"];
  const at = (path: string) => tool(netOf(), grants, { url: `${outer.origin}${path}` });
  assert.deepEqual(await at("/near").then(({ url, text }) => [url, text]), [
    `${outer.origin}/here`,
    "here",
  ]);
  const into = await at("/in");
  assert.equal(into["status"], 302);
  assert.equal(into["redirect"], `http://127.0.0.2:${inner.port}/`);
  assert.match(String(into["notFollowed"]), /no capability of .* covers net\.fetch\(GET http/);
  assert.equal(inner.connections, 0);
  const before = outer.seen.length;
  const round = await at("/round");
  assert.match(String(round["notFollowed"]), /10 redirects/);
  assert.equal(outer.seen.length - before, 11);
});

Deno.test("What was meant for one origin does not follow a redirect to another", async () => {
  await using other = new Site(() => answer(200, "other"));
  let status = 307;
  await using site = new Site(() => answer(status, "", [`location: ${other.origin}/b`]));
  const net = netOf();
  const grants = [site, other].map(({ origin }) => `net.fetch(${origin}/**)`);
  const input = {
    url: `${site.origin}/a`,
    method: "POST",
    headers: { "x-api-key": "mine", "content-type": "text/plain", accept: "a/b" },
    body: "data",
  };
  await tool(net, grants, input);
  status = 302;
  await tool(net, grants, input);
  const [kept = "", turned = ""] = other.seen;
  assert.match(kept, /^POST \/b .*\r\naccept: a\/b\r\n.*\r\n\r\ndata$/s);
  assert.match(turned, /^GET \/b .*\r\n\r\n$/s);
  assert.doesNotMatch(turned, /content-type/);
  for (const request of other.seen) assert.doesNotMatch(request, /x-api-key/);
});
