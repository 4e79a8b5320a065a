/**
 * Rules of requests over the net: one spelling of each, which addresses are not public, which
 * headers a caller may set, where a redirect leads.
 * @module
 */

import assert from "node:assert/strict";
import { matchResource, overlaps, parsePattern, within } from "../kernel/grammar.ts";
import { isLocalName, netPattern, netTarget, resourceAt } from "../kernel/net.ts";
import { addressKind, canonicalAddress } from "../kernel/net_address.ts";
import { netHeaders, netPreview, redirectOf } from "../kernel/net_request.ts";
import { parseGrant } from "../kernel/path.ts";

const get = (url: string) => netTarget("GET", url);

const SPELLINGS: readonly (readonly [string, string])[] = [
  ["https://API.Example.com", "GET https://api.example.com/"],
  ["https://api.example.com:443/v1?q=/a#b", "GET https://api.example.com/v1"],
  ["http://example.com:8080/", "GET http://example.com:8080/"],
  ["https://example.com./a", "GET https://example.com/a"],
  ["https://bücher.example/ü", "GET https://xn--bcher-kva.example/%C3%BC"],
  ["https://x.test/a/../b/./c", "GET https://x.test/b/c"],
  ["https://x.test/%61dm%69n", "GET https://x.test/admin"],
  ["https://x.test/%2e%2e/a", "GET https://x.test/a"],
  ["https://x.test/a%2fb%c3", "GET https://x.test/a%2Fb%C3"],
  ["https://x.test/*/a", "GET https://x.test/%2A/a"],
  ["http://0x7f.1/", "GET http://127.0.0.1/"],
  ["http://2130706433/", "GET http://127.0.0.1/"],
  ["http://0177.0.0.1/", "GET http://127.0.0.1/"],
  ["http://127.1/", "GET http://127.0.0.1/"],
  ["http://127.0.0.1./", "GET http://127.0.0.1/"],
  ["http://１２７.１/", "GET http://127.0.0.1/"],
  ["http://[::ffff:127.0.0.1]/", "GET http://127.0.0.1/"],
  ["http://[::FFFF:7f00:1]:81/", "GET http://127.0.0.1:81/"],
  ["http://[0:0:0:0:0:0:0:1]/", "GET http://[::1]/"],
];

Deno.test("netTarget() has one spelling of a request, which is the one that is sent", () => {
  for (const [given, resource] of SPELLINGS) {
    const target = get(given);
    assert.equal(target.resource, resource, given);
    assert.equal(get(target.url).resource, resource, given);
    assert.equal(get(target.url).url, target.url, given);
  }
  assert.equal(get("https://x.test/v1?q=/a#b").path, "/v1?q=/a");
});

const REFUSED: readonly string[] = [
  "",
  "x",
  "/a",
  "file:///etc/passwd",
  "ftp://x.test/",
  "data:text/plain,a",
  "javascript:1",
  "https://user@x.test/",
  "https://user:secret@x.test/",
  "https://@evil.test:a@x.test/",
  "https://x.test\\@evil.test/",
  "https:\\\\x.test/",
  " https://x.test/",
  "https://x.test/ a",
  "https://x.te\tst/",
  "https://x.test/\r\nHost: evil.test",
  "https://x.test/\u0000",
  "https://x.test/\ud800",
  "https://x.test:0/",
  "https://x.test:99999/",
  "https://*/",
  "https://a*b.test/",
  "https://**.test/",
  "https://-a.test/",
  "https://a..b/",
  "https://1.2.3.4.5/",
  "https://09.1.1.1/",
  "https://[fe80::1%25eth0]/",
  "https://[::1/",
  "https://x.test/a/..%2fadmin",
  "https://x.test/a/%2e%2e%5cadmin",
  "https://x.test/a/%252e%252e%252fadmin",
  "https://x.test/a/%25252e%25252e/admin",
  "https://x.test/a/..;/admin",
  `https://${"a".repeat(64)}.test/`,
  `https://x.test/${"a/".repeat(60)}`,
  `https://x.test/${"a".repeat(9_000)}`,
];

Deno.test("netTarget() refuses what has no one meaning, and shows no password", () => {
  for (const url of REFUSED) {
    assert.throws(() => get(url), { code: "EINVAL" }, url);
  }
  assert.throws(() => get("https://a:hunter22@x.test/"), (error: Error) => {
    return !error.message.includes("hunter22");
  });
});

const NOT_PUBLIC: readonly (readonly [string, string])[] = [
  ["0.0.0.0", "unspecified"],
  ["0.255.255.255", "unspecified"],
  ["10.0.0.1", "private"],
  ["10.255.255.255", "private"],
  ["100.64.0.1", "carrier"],
  ["100.127.255.255", "carrier"],
  ["100.100.100.200", "metadata"],
  ["127.0.0.1", "loopback"],
  ["127.255.255.254", "loopback"],
  ["168.63.129.16", "metadata"],
  ["169.254.0.1", "link-local"],
  ["169.254.169.254", "metadata"],
  ["169.254.170.2", "metadata"],
  ["172.16.0.1", "private"],
  ["172.31.255.255", "private"],
  ["192.0.0.8", "reserved"],
  ["192.0.0.192", "metadata"],
  ["192.0.2.7", "documentation"],
  ["192.88.99.1", "tunnel"],
  ["192.168.1.1", "private"],
  ["198.18.0.1", "benchmark"],
  ["198.19.255.255", "benchmark"],
  ["198.51.100.1", "documentation"],
  ["203.0.113.1", "documentation"],
  ["224.0.0.1", "multicast"],
  ["239.255.255.255", "multicast"],
  ["240.0.0.1", "reserved"],
  ["255.255.255.255", "broadcast"],
  ["::", "unspecified"],
  ["::1", "loopback"],
  ["::7f00:1", "reserved"],
  ["::ffff:0:7f00:1", "reserved"],
  ["fe80::1", "link-local"],
  ["fec0::1", "private"],
  ["fc00::1", "private"],
  ["fdff::1", "private"],
  ["fd00:ec2::254", "metadata"],
  ["fd20:ce::254", "metadata"],
  ["ff02::1", "multicast"],
  ["100::1", "discard"],
  ["2001:db8::1", "documentation"],
  ["3fff::1", "documentation"],
  ["2001:10::1", "reserved"],
  ["5f00::1", "reserved"],
  ["4000::1", "reserved"],
  ["64:ff9b:1::808:808", "private"],
  ["64:ff9b::7f00:1", "loopback"],
  ["64:ff9b::a9fe:a9fe", "metadata"],
  ["64:ff9b::a00:1", "private"],
  ["2002:7f00:1::", "loopback"],
  ["2002:a9fe:a9fe::1", "metadata"],
  ["2002:808:808::1", "tunnel"],
  ["2001:0:808:808::80ff:fffe", "loopback"],
  ["2001:0:808:808::f7f7:f7f7", "tunnel"],
  ["2606:4700::5efe:c0a8:101", "private"],
  ["2606:4700::200:5efe:7f00:1", "loopback"],
];

Deno.test("addressKind() says what is not public about an address, also about one in another", () => {
  for (const [address, kind] of NOT_PUBLIC) {
    const one = canonicalAddress(address);
    assert.notEqual(one, undefined, address);
    assert.equal(addressKind(one!), kind, address);
    const url = address.includes(":") ? `http://[${address}]/` : `http://${address}/`;
    assert.ok(get(url).isPrivate, url);
  }
});

Deno.test("addressKind() knows the neighbours of its ranges as public", () => {
  const all = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2a00:1450::1",
    "64:ff9b::808:808",
  ];
  for (const address of all) {
    assert.equal(addressKind(address), null, address);
    assert.equal(canonicalAddress(address), address);
  }
});

Deno.test("canonicalAddress() has one spelling of an address, and none for a name", () => {
  for (const text of ["0x7f000001", "127.1", "::ffff:127.0.0.1", "[::ffff:7f00:1]"]) {
    assert.equal(canonicalAddress(text), "127.0.0.1", text);
  }
  for (
    const text of ["x", "x.test", "", "1.2.3.4.5", "fe80::1%eth0", "::g", "127.0.0.1/8", "a@1"]
  ) {
    assert.equal(canonicalAddress(text), undefined, text);
  }
});

Deno.test("isLocalName() knows names that no public net has", () => {
  for (const name of ["localhost", "db", "a.localhost", "nas.local", "metadata.google.internal"]) {
    assert.ok(isLocalName(name), name);
  }
  for (const name of ["x.test", "localhost.evil.com", "internal.example.com"]) {
    assert.ok(!isLocalName(name), name);
  }
});

Deno.test("A pattern without a method holds for all of them, one with a method for that alone", () => {
  const resource = netTarget("POST", "https://x.test/v1/a").resource;
  const cases: readonly (readonly [string, boolean])[] = [
    ["**", true],
    ["https://x.test/**", true],
    ["https://x.test/v1/a", true],
    ["POST https://x.test/**", true],
    ["* https://x.test/**", true],
    ["P* https://x.test/**", true],
    ["*://x.test/**", true],
    ["https://*/**", true],
    ["https://**", true],
    ["https://*.test/v1/*", true],
    ["GET https://x.test/**", false],
    ["http://x.test/**", false],
    ["https://x.test:8443/**", false],
    ["https://x.test", false],
    ["https://x.test/v1", false],
    ["https://evil.x.test/**", false],
    ["https://x.test.evil/**", false],
    ["https://x.tes*/v1/b", false],
  ];
  for (const [pattern, covers] of cases) {
    assert.equal(matchResource(pattern, resource), covers, pattern);
  }
  assert.ok(matchResource("https://x.test", get("https://x.test").resource));
  const read = parsePattern("net.fetch(GET https://x.test/**)");
  const all = parsePattern("net.fetch(https://x.test/**)");
  assert.ok(within(read, all) && !within(all, read) && within(all, all));
  assert.ok(overlaps(read, all));
  assert.ok(!overlaps(read, parsePattern("net.fetch(POST https://x.test/**)")));
});

Deno.test("A rule is spelled as requests are, so that it holds however a host is written", () => {
  for (
    const [given, spelled] of [
      ["https://Evil.Example/**", "https://evil.example/**"],
      ["HTTPS://x.test:443/A", "https://x.test/A"],
      ["post http://x.test:80/", "POST http://x.test/"],
      ["https://x.test:80/", "https://x.test:80/"],
      ["https://bücher.example./**", "https://xn--bcher-kva.example/**"],
      ["http://0x7f.1/**", "http://127.0.0.1/**"],
      ["http://[::ffff:7f00:1]:8080/**", "http://127.0.0.1:8080/**"],
      ["https://*.Example.com:443/**", "https://*.example.com/**"],
      ["https://**", "https://**"],
      ["**", "**"],
    ] as const
  ) {
    assert.equal(netPattern(given), spelled, given);
    assert.equal(netPattern(spelled), spelled, given);
    assert.equal(parseGrant(`net.fetch(${given})`, ".").resource, spelled);
  }
});

Deno.test("resourceAt() is the same request at an address", () => {
  const target = get("https://x.test:8443/a?b");
  assert.equal(resourceAt(target, "10.0.0.1"), "GET https://10.0.0.1:8443/a");
  assert.equal(resourceAt(target, "fd00::1"), "GET https://[fd00::1]:8443/a");
});

const NOT_SENT: readonly (readonly [string, string])[] = [
  ["Host", "evil.test"],
  ["AUTHORIZATION", "Bearer a"],
  ["cookie", "a=b"],
  ["content-length", "0"],
  ["Transfer-Encoding", "chunked"],
  ["connection", "upgrade"],
  ["proxy-authorization", "a"],
  ["x-http-method-override", "DELETE"],
  ["X_HTTP_Method_Override", "DELETE"],
  ["transfer_encoding", "chunked"],
  ["X-Original-URL", "/admin"],
  ["X-Rewrite-URL", "/admin"],
  ["X-Forwarded-For", "127.0.0.1"],
  ["X-Forwarded-Host", "evil.test"],
  ["X-Real-IP", "127.0.0.1"],
  ["True-Client-IP", "127.0.0.1"],
  ["expect", "100-continue"],
  ["x", "a\r\nHost: evil.test"],
  ["x", "a\nb"],
  ["x", "a\u0000"],
  ["x", "é"],
  ["x", " a"],
  ["x\r\nhost", "a"],
  ["x y", "a"],
  ["x:", "a"],
  ["", "a"],
];

Deno.test("netHeaders() takes what is the caller's to set, in small letters, and nothing else", () => {
  assert.deepEqual(netHeaders({ "Content-Type": "text/plain", "x-a": "" }), [
    ["content-type", "text/plain"],
    ["x-a", ""],
  ]);
  for (const [name, value] of NOT_SENT) {
    assert.throws(() => netHeaders({ [name]: value }), { code: "EINVAL" }, `${name}: ${value}`);
  }
  assert.throws(() => netHeaders({ "x-a": "1", "X-A": "2" }), { code: "EINVAL" });
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`x-${i}`, "a"]));
  assert.throws(() => netHeaders(many), { code: "ELIMIT" });
  assert.throws(() => netHeaders({ x: "a".repeat(20_000) }), { code: "ELIMIT" });
});

Deno.test("redirectOf() follows the rules of fetch, and knows when the origin is another", () => {
  const post = netTarget("POST", "https://x.test/a/b");
  const to = (status: number, location: string, from = post) => {
    const found = redirectOf(from, status, location);
    return found === null ? null : [found.method, found.url, found.keepsBody, found.isSameOrigin];
  };
  assert.deepEqual(to(302, "c"), ["GET", "https://x.test/a/c", false, true]);
  assert.deepEqual(to(301, "/c#d"), ["GET", "https://x.test/c", false, true]);
  assert.deepEqual(to(303, "//y.test/"), ["GET", "https://y.test/", false, false]);
  assert.deepEqual(to(307, "/c"), ["POST", "https://x.test/c", true, true]);
  assert.deepEqual(to(308, "http://x.test/c"), ["POST", "http://x.test/c", true, false]);
  assert.deepEqual(to(302, "https://x.test:8443/"), ["GET", "https://x.test:8443/", false, false]);
  const put = netTarget("PUT", "https://x.test/");
  assert.deepEqual(to(302, "/c", put), ["PUT", "https://x.test/c", true, true]);
  assert.deepEqual(to(303, "/c", put), ["GET", "https://x.test/c", false, true]);
  for (const odd of ["file:///etc/passwd", "https://u:p@y.test/", "javascript:1", "https://*/"]) {
    assert.equal(to(302, odd), null, odd);
  }
  assert.equal(to(200, "/c"), null);
  assert.equal(to(304, "/c"), null);
  assert.equal(redirectOf(post, 302, undefined), null);
});

Deno.test("netPreview() shows a name as it is sent and as it looks", () => {
  const target = netTarget("POST", "http://аррӏе.com/pay");
  const text = netPreview(target, {
    headers: [["content-type", "text/plain"]],
    body: "x".repeat(3_000),
    bytes: 3_000,
    credential: "shop",
  });
  assert.match(text, /^POST http:\/\/xn--80ak6aa92e\.com\/pay\n/);
  assert.match(text, /host: xn--80ak6aa92e\.com \(аррӏе\.com\), port 80, not encrypted\n/);
  assert.match(text, /credential: shop\ncontent-type: text\/plain\nbody, 3000 bytes:\nx{2000}\n…$/);
});
