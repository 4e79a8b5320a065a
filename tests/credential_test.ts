/**
 * Credentials: where a secret goes, and that it does not come back.
 * @module
 */

import assert from "node:assert/strict";
import { Redactor, secretsIn } from "../kernel/credential.ts";
import { CredentialFile } from "../providers/credential_file.ts";
import { openCredentials } from "../providers/credentials.ts";
import type { SysError } from "../kernel/errors.ts";

const SECRET = "ghp_S3cr/t+Val=ue&\"<x>'\\~9";
const ORIGIN = "https://api.github.com";
const own = { github: { hosts: ["api.github.com"], prefix: "Bearer ", value: SECRET } };

Deno.test("Credentials.use() gives a secret to the origins of its own credential alone", async () => {
  const held = openCredentials(own);
  assert.deepEqual(await held.use("github", ORIGIN), {
    header: "authorization",
    value: `Bearer ${SECRET}`,
  });
  for (
    const origin of [
      "http://api.github.com",
      "https://api.github.com:8443",
      "https://api.github.com.evil.test",
      "https://evil.test",
      "https://github.com",
      "",
    ]
  ) {
    await assert.rejects(held.use("github", origin), { code: "EACCES" }, origin);
  }
  await assert.rejects(held.use("gitlab", ORIGIN), { code: "ENOENT" });
  await assert.rejects(held.use("__proto__", ORIGIN), { code: "ENOENT" });
  assert.ok(!JSON.stringify(held.list()).includes("ghp_"));
  assert.ok(!Deno.inspect(held).includes("ghp_"));
});

const ODD: readonly (readonly [string, Record<string, unknown>])[] = [
  ["no host", { hosts: [] }],
  ["any host", { hosts: ["*"] }],
  ["any host of a domain", { hosts: ["*.example.com"] }],
  ["a path", { hosts: ["example.com/v1"] }],
  ["a user", { hosts: ["user@example.com"] }],
  ["plain HTTP to another machine", { hosts: ["http://example.com"] }],
  ["plain HTTP to a name that only looks like this machine", {
    hosts: ["http://127.0.0.1.nip.io"],
  }],
  ["another scheme", { hosts: ["ftp://example.com"] }],
  ["a header that says where it goes", { header: "Host" }],
  ["a header with a line in it", { header: "x\r\ny" }],
  ["a secret with a line in it", { value: "12345678\r\nx: y" }],
  ["a secret that is no ASCII", { value: "12345678é" }],
  ["a secret with space around it", { value: "12345678 " }],
  ["a secret that could stand anywhere", { value: "abc" }],
  ["a short secret after a long scheme", { value: "Authorization-Scheme abc" }],
];

Deno.test("openCredentials() refuses what could leak by its form", () => {
  for (const [claim, given] of ODD) {
    const source = { hosts: ["example.com"], value: SECRET, ...given };
    assert.throws(() => openCredentials({ one: source }), { code: "EINVAL" }, claim);
  }
  const plain = { hosts: ["example.com"], value: SECRET };
  for (const name of ["", "A", "__proto__", "a b", "a/b", "*", "a".repeat(65)]) {
    assert.throws(() => openCredentials(Object.fromEntries([[name, plain]])), { code: "EINVAL" });
  }
});

Deno.test("What openCredentials() refuses is told without the secret", () => {
  for (const [, given] of ODD) {
    const value = "long-secret-value\n";
    try {
      openCredentials({ one: { hosts: ["example.com"], ...given, value } });
      assert.fail("was not refused");
    } catch (error) {
      assert.ok(!(error as SysError).message.includes("long-secret"));
    }
  }
});

/** Ways in which servers give back what they were sent. */
const FORMS: readonly (readonly [string, (secret: string) => string])[] = [
  ["as it is", (one) => one],
  ["in JSON", (one) => JSON.stringify({ one })],
  ["in JSON in JSON", (one) => JSON.stringify({ text: JSON.stringify({ one }) })],
  ["in JSON with escapes", (one) => one.replace(/[/<>&]/g, (c) => `\\u00${hex(c)}`)],
  ["in JSON with large escapes", (one) => one.replace(/./g, (c) => `\\u00${hex(c).toUpperCase()}`)],
  ["in a URL", encodeURIComponent],
  ["in a form", (one) => new URLSearchParams({ one }).toString()],
  ["in a URL in a URL", (one) => encodeURIComponent(encodeURIComponent(one))],
  ["in a URL, each character", (one) => one.replace(/./g, (c) => `%${hex(c)}`)],
  [
    "in HTML",
    (one) => one.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&#34;"),
  ],
  ["in HTML by number", (one) => one.replace(/\W/g, (c) => `&#x${hex(c)};`)],
  ["in base64", (one) => btoa(one)],
  ["in base64, after one byte", (one) => btoa(`a${one}`)],
  ["in base64, after two bytes", (one) => btoa(`ab${one}z`)],
  ["in base64 for URLs", (one) => encode(`x${one}`).toBase64({ alphabet: "base64url" })],
  ["in base64 in a URL", (one) => encodeURIComponent(btoa(`{"h":"${one}"}`))],
  ["in base64 in lines", (one) => btoa(`some more text ${one}`).replace(/.{12}/g, "$&\r\n")],
  [
    "in base64 in lines in JSON",
    (one) => JSON.stringify(btoa(`ab${one}`).replace(/.{9}/g, "$&\n")),
  ],
  ["in small letters, as names of headers are", (one) => one.toLowerCase()],
  ["in large letters", (one) => one.toUpperCase()],
  ["in UTF-16", (one) => [...one].join("\0")],
  ["in JavaScript's long escapes", (one) => one.replace(/./g, (c) => `\\u{${hex(c)}}`)],
  ["in mail, each character", (one) => one.replace(/./g, (c) => `=${hex(c).toUpperCase()}`)],
  ["in mail, over two lines", (one) => `${one.slice(0, 9)}=\r\n${one.slice(9)}`],
  ["in hex", (one) => encode(one).toHex()],
  ["in large hex", (one) => encode(one).toHex().toUpperCase()],
];

function hex(char: string): string {
  return char.charCodeAt(0).toString(16).padStart(2, "0");
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

Deno.test("Redactor finds a secret in every form that servers give it back in", () => {
  for (const secret of [SECRET, "sk-0123456789abcdefABCDEF", "a b c d e f g h"]) {
    const redactor = new Redactor();
    redactor.add("github", `Bearer ${secret}`);
    for (const [claim, form] of FORMS) {
      const clean = redactor.text(`é before ${form(secret)} after €`);
      assert.match(clean, /\[credential github\]/, claim);
      assert.ok(clean.startsWith("é before ") && clean.endsWith(" after €"), claim);
      for (let at = 0; at + 6 <= secret.length; at++) {
        const piece = form(secret.slice(at, at + 6)).replace(/=+$/, "");
        if (/base64/.test(claim)) continue;
        assert.ok(!clean.includes(piece), `${claim}: ${clean}`);
      }
    }
  }
});

Deno.test("Redactor takes a pair of user and password for the password too", () => {
  const value = `Basic ${btoa("ada:correct horse battery")}`;
  assert.deepEqual(secretsIn(value).slice(-2), [
    "ada:correct horse battery",
    "correct horse battery",
  ]);
  const redactor = new Redactor();
  redactor.add("shop", value);
  assert.equal(redactor.text("you are correct horse battery"), "you are [credential shop]");
});

/** What would be tried from each of its characters on to its end, were that not bounded. */
const LONG: readonly string[] = ["\\", "%", "%25", "&#0", "=\r\n", "c ", "\\u{0", "s\0"];

Deno.test("Redactor takes a time that grows with a text, whatever stands in it", () => {
  const redactor = new Redactor();
  redactor.add("github", `Bearer ${SECRET}`);
  for (const piece of LONG) {
    // The square of this would be hours.
    const text = piece.repeat(1_000_000 / piece.length);
    assert.equal(redactor.text(text), text);
  }
});

Deno.test("Redactor leaves bytes alone in which there is nothing", () => {
  const redactor = new Redactor();
  const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 7) % 256);
  assert.equal(redactor.bytes(bytes), bytes);
  redactor.add("github", SECRET);
  assert.equal(redactor.bytes(bytes), bytes);
});

Deno.test("A secret that changed is sent from then on, and the old one is still found", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/token`;
    await Deno.writeTextFile(file, "first-secret-1\n", { mode: 0o600 });
    const held = openCredentials({ one: { hosts: ["example.com"], file } });
    assert.equal((await held.use("one", "https://example.com")).value, "first-secret-1");
    await Deno.writeTextFile(file, "second-secret-2\n");
    assert.equal((await held.use("one", "https://example.com")).value, "second-secret-2");
    assert.equal(
      held.redact("first-secret-1 second-secret-2"),
      "[credential one] [credential one]",
    );
    await Deno.chmod(file, 0o644);
    await assert.rejects(held.use("one", "https://example.com"), { code: "EACCES" });
    await Deno.remove(file);
    await assert.rejects(held.use("one", "https://example.com"), { code: "EIO" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("CredentialFile keeps credentials where only their owner reads them", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/.libos/credentials.json`;
    const file = new CredentialFile(path);
    assert.deepEqual(file.read(), {});
    file.put("github", { hosts: ["api.github.com"], header: "authorization", value: SECRET });
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    assert.equal((file.read()["github"] as { value?: string }).value, SECRET);
    assert.throws(
      () => file.put("evil", { hosts: ["*"], header: "x", value: SECRET }),
      { code: "EINVAL" },
    );
    assert.deepEqual(Object.keys(file.read()), ["github"]);
    assert.equal(file.remove("gitlab"), false);
    assert.equal(file.remove("github"), true);
    assert.ok(!(await Deno.readTextFile(path)).includes("ghp_"));
    await Deno.writeTextFile(path, "no JSON");
    assert.throws(() => file.read(), { code: "EINTEGRITY" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
