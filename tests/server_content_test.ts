/**
 * Content of objects over the API: what it is called, that no answer is a page, ranges, and who may
 * look.
 * @module
 */

import assert from "node:assert/strict";
import { defineImage } from "../mod.ts";
import type { Json } from "../kernel/json.ts";
import { mediaOf } from "../kernel/media.ts";
import { JPEG, MP4, PDF, PNG, WAV } from "./media_samples.ts";
import { code } from "./server_attack_place.ts";
import { type ServerPlace, serverPlace } from "./server_place.ts";

const listener = defineImage({
  name: "listener",
  program: async ({ sys }) => void await sys.message.receive({}),
});

async function keeping(values: readonly (readonly [type: string, value: Json])[]) {
  const at = await serverPlace({ runtime: { autorun: false } });
  await at.runtime.spawn(listener, { goal: "Keep" });
  await at.runtime.runUntilIdle();
  const paths: string[] = [];
  for (const [i, [type, value]] of values.entries()) {
    const made = await at.post("operator", "/v1/processes/p_1/objects", {
      name: `o${i}`,
      type,
      value,
    });
    assert.equal(made.status, 201, await made.clone().text());
    paths.push(`/v1/objects/${(await made.json()).id}/versions/1/content`);
  }
  return { at, paths };
}

const media = (bytes: Uint8Array): Json => ({ ...mediaOf(bytes)! }) as Json;
const PAGE = "<!doctype html><script>fetch('/v1/whoami')</script>";
const SVG = `<svg xmlns="http://www.w3.org/2000/svg"><script>window.evil=1</script></svg>`;

Deno.test("Content is called what its bytes are, and is a file to keep, never a page", async () => {
  // Its names stand in the order of the log.
  const claim = { base64: btoa(PAGE), bytes: PAGE.length, mediaType: "text/html", sha256: "" };
  const KEPT: readonly (readonly [type: string, value: Json, is: string, bytes: Uint8Array])[] = [
    ["image", media(PNG), "image/png", PNG],
    ["image", media(JPEG), "image/jpeg", JPEG],
    ["audio", media(WAV), "audio/wav", WAV],
    ["video", media(MP4), "video/mp4", MP4],
    ["document", media(PDF), "application/pdf", PDF],
    ["text", PAGE, "text/plain; charset=utf-8", new TextEncoder().encode(PAGE)],
    ["text", SVG, "text/plain; charset=utf-8", new TextEncoder().encode(SVG)],
    ["json", claim, "application/json", new TextEncoder().encode(JSON.stringify(claim, null, 2))],
    ["json", PAGE, "text/plain; charset=utf-8", new TextEncoder().encode(PAGE)],
  ];
  const { at, paths } = await keeping(KEPT.map(([type, value]) => [type, value]));
  await using _ = at;
  for (const [i, [type, , is, bytes]] of KEPT.entries()) {
    const answer = await at.ask("operator", paths[i]!);
    const { headers } = answer;
    assert.equal(headers.get("content-type"), is, type);
    assert.deepEqual(new Uint8Array(await answer.arrayBuffer()), bytes, type);
    assert.match(headers.get("content-disposition")!, /^attachment; filename="obj_1\.\d+@1\.\w+"$/);
    assert.match(headers.get("content-security-policy")!, /default-src 'none'; sandbox/);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("cross-origin-resource-policy"), "same-origin");
    assert.equal(headers.get("cache-control"), "no-store");
  }
  // What is text is an SVG only for who asks for one, and only if it begins as one.
  const svg = await at.ask("operator", `${paths[6]}?as=svg`);
  assert.equal(svg.headers.get("content-type"), "image/svg+xml");
  assert.match(svg.headers.get("content-disposition")!, /^attachment/);
  assert.match(svg.headers.get("content-security-policy")!, /sandbox/);
  await svg.body?.cancel();
  for (const i of [0, 5, 7]) {
    assert.equal(await code(at.ask("operator", `${paths[i]}?as=svg`)), "400 EINVAL");
  }
});

Deno.test("What is read of it is a look: for operators, in the log, once for all its pieces", async () => {
  const { at, paths: [path] } = await keeping([["video", media(MP4)]]);
  await using _ = at;
  const looks = async () =>
    (await Array.fromAsync(at.runtime.log("t_1"))).filter(({ type, data }) =>
      type === "inbox.taken" && (data as { what: string }).what.startsWith("reveal obj_1.")
    ).map(({ data }) => (data as { by: string }).by);
  for (const role of ["viewer", "approver"] as const) {
    assert.equal(await code(at.ask(role, path!)), "403 role_too_low");
  }
  assert.equal(await code(at.ask(null, path!)), "401 unauthenticated");
  const labels = { team: "b" };
  const { secret } = at.server.tokens.create({ name: "bee", role: "operator", labels });
  const headers = { authorization: `Bearer ${secret}` };
  assert.equal(await code(at.ask("operator", path!, { headers })), "404 ENOENT");
  const other = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
  assert.equal(await code(at.ask("operator", path!, { headers: other })), "403 origin_refused");
  assert.deepEqual(await looks(), []);
  const size = MP4.length;
  const RANGES: readonly (readonly [asked: string, status: number, range: string | null])[] = [
    ["bytes=0-3", 206, `bytes 0-3/${size}`],
    ["bytes=4-", 206, `bytes 4-${size - 1}/${size}`],
    ["bytes=-5", 206, `bytes ${size - 5}-${size - 1}/${size}`],
    ["bytes=0-999999999", 206, `bytes 0-${size - 1}/${size}`],
    [`bytes=${size}-`, 416, `bytes */${size}`],
    ["bytes=5-2", 200, null],
    ["bytes=0-1,4-5", 200, null],
    ["bytes=-", 200, null],
    ["lines=1-2", 200, null],
  ];
  for (const [range, status, said] of RANGES) {
    const answer = await at.ask("operator", path!, { headers: { range } });
    const bytes = new Uint8Array(await answer.arrayBuffer());
    assert.deepEqual([answer.status, answer.headers.get("content-range")], [status, said], range);
    const [from, to] = said?.match(/\d+/g)?.map(Number) ?? [0, size - 1];
    if (status !== 416) assert.deepEqual(bytes, MP4.slice(from, to! + 1), range);
  }
  assert.deepEqual(await looks(), ["operator"]);
});

Deno.test("A version of media is told about without its bytes, where only its facts are asked", async () => {
  const { at, paths: [path] } = await keeping([["image", media(PNG)]]);
  await using _ = at;
  const version = path!.replace(/\/content$/, "");
  const { base64: _bytes, ...facts } = mediaOf(PNG)!;
  const shown = await (await at.ask("operator", `${version}?reveal=true&media=facts`)).json();
  assert.deepEqual(shown.value, facts);
  const whole = await (await at.ask("operator", `${version}?reveal=true`)).json();
  assert.equal(whole.value.base64, PNG.toBase64());
  assert.equal("value" in await (await at.ask("viewer", `${version}?media=facts`)).json(), false);
});

Deno.test("What an agent has seen is said of its process, and of whatever it wrote", async () => {
  const reader = defineImage({
    name: "reader",
    program: async ({ sys }) => {
      await sys.message.receive({});
      await sys.object.create({ name: "note", type: "text", value: "read" });
      await sys.message.receive({});
    },
  });
  await using at: ServerPlace = await serverPlace({ runtime: { autorun: false } });
  await at.runtime.spawn(reader, { goal: "Read" });
  await at.runtime.runUntilIdle();
  const label = async () => (await (await at.ask("viewer", "/v1/processes/p_1")).json()).label;
  assert.deepEqual(await label(), { sensitivity: "public", trust: "trusted" });
  await (await at.post("operator", "/v1/processes/p_1/messages", { data: "hello" })).body?.cancel();
  await at.runtime.runUntilIdle();
  const seen = { sensitivity: "public", trust: "user", origin: ["person"] };
  assert.deepEqual(await label(), seen);
  const { items: [note] } = await (await at.ask("viewer", "/v1/objects")).json();
  assert.deepEqual(note.label, seen);
});
