/**
 * Media: what their bytes say, and values that say something else.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { factsOf, kindOf, mediaOf, wrongMedia } from "../kernel/media.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Json } from "../kernel/json.ts";
import * as samples from "./media_samples.ts";

const SAID = {
  PNG: { mediaType: "image/png", width: 1, height: 1 },
  GIF: { mediaType: "image/gif", width: 1, height: 1 },
  JPEG: { mediaType: "image/jpeg", width: 2, height: 3 },
  WEBP: { mediaType: "image/webp", width: 1, height: 1 },
  WEBP_X: { mediaType: "image/webp", width: 5, height: 4 },
  WAV: { mediaType: "audio/wav", durationMs: 250 },
  MP3: { mediaType: "audio/mpeg", durationMs: 104 },
  MP4: { mediaType: "video/mp4", width: 64, height: 48, durationMs: 1_500 },
  M4A: { mediaType: "audio/mp4", durationMs: 1_500 },
  PDF: { mediaType: "application/pdf" },
} as const;

for (const [name, facts] of Object.entries(SAID)) {
  const bytes = samples[name as keyof typeof SAID];
  Deno.test(`The header of a ${name} says what it is`, () => {
    assert.deepEqual(factsOf(bytes), facts);
    const media = mediaOf(bytes)!;
    assert.equal(media.bytes, bytes.length);
    assert.equal(wrongMedia(kindOf(facts.mediaType), media as unknown as Json), null);
  });
}

Deno.test("A value that says another thing than its bytes is found out", () => {
  const media = mediaOf(samples.PNG)! as unknown as Record<string, Json>;
  const wrong: [Record<string, Json>, RegExp][] = [
    [{ ...media, mediaType: "image/jpeg" }, /"mediaType"/],
    [{ ...media, width: 2 }, /"width"/],
    [{ ...media, height: 0 }, /"height"/],
    [{ ...media, durationMs: 1 }, /"durationMs"/],
    [{ ...media, bytes: 1 }, /"bytes"/],
    [{ ...media, sha256: "0".repeat(64) }, /"sha256"/],
    [{ ...media, base64: "!" }, /"base64"/],
    [{ ...media, base64: btoa("GIF") }, /no header/],
  ];
  for (const [value, said] of wrong) assert.match(wrongMedia("image", value) ?? "", said);
  assert.match(wrongMedia("audio", media) ?? "", /are image\/png/);
});

Deno.test("A text, an archive and a program are no media, however they are named", () => {
  for (const text of ["", "hello", "PK\x03\x04", "\x7fELF", "<svg/>", "RIFF....AVI ", "\xff\xfb"]) {
    assert.equal(factsOf(new TextEncoder().encode(text)), undefined, JSON.stringify(text));
  }
});

Deno.test("Media which no object could hold are refused by name of the limit", () => {
  const large = new Uint8Array(LIMITS.mediaBytesMax + 1);
  large.set(samples.PNG);
  assert.throws(() => mediaOf(large), { code: "ELIMIT" });
});

Deno.test("Any bytes, and any cut or damage of real ones, are read in bounded time without a throw", () => {
  const real = Object.keys(SAID).map((name) => samples[name as keyof typeof SAID]);
  const damaged = fc.tuple(
    fc.constantFrom(...real),
    fc.nat(),
    fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }),
  ).map(([bytes, length, changes]) => {
    const made = bytes.slice(0, length % (bytes.length + 1));
    for (const [at, value] of changes) made[at % Math.max(1, made.length)] = value;
    return made;
  });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 256 }), damaged), (bytes) => {
      const facts = factsOf(bytes);
      for (const name of ["width", "height", "durationMs"] as const) {
        const value = facts?.[name];
        assert(
          value === undefined || (Number.isSafeInteger(value) && value >= 0),
          `${name} ${value}`,
        );
      }
    }),
    { numRuns: 2_000 },
  );
});
