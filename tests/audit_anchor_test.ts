/**
 * An anchor at a URL: what it keeps, and what it makes of answers that are none.
 * @module
 */

import assert from "node:assert/strict";
import { HttpAnchor, type SignedHead } from "../mod.ts";
import { canonical } from "../kernel/json.ts";
import { image, Place } from "./audit_place.ts";
import { rejects } from "./store_fixture.ts";

/** A server that keeps heads as `providers/anchor.ts` says, and its URL. */
function serveHeads(kept: SignedHead[], change: (reply: Response) => Response = (one) => one) {
  const options = { port: 0, hostname: "127.0.0.1", onListen: () => {} };
  const server = Deno.serve(options, async (request) => {
    const last = kept.at(-1);
    if (request.headers.get("authorization") !== "Bearer yes") {
      return new Response("who are you", { status: 401 });
    }
    if (request.method === "GET") {
      return change(last === undefined ? new Response(null, { status: 404 }) : Response.json(last));
    }
    const head = await request.json() as SignedHead;
    if (last !== undefined && last.size >= head.size && canonical(last) !== canonical(head)) {
      return new Response("it has a larger one", { status: 409 });
    }
    if (canonical(last ?? null) !== canonical(head)) kept.push(head);
    return change(new Response(null, { status: 204 }));
  });
  return { server, url: `http://127.0.0.1:${server.addr.port}/heads?secret=1` };
}

const headers = { authorization: "Bearer yes" };

Deno.test("HttpAnchor keeps heads at a URL, and shows a store that was set back", async () => {
  await using place = await Place.make();
  const kept: SignedHead[] = [];
  const { server, url } = serveHeads(kept);
  try {
    const anchor = new HttpAnchor(url, { headers });
    assert.equal(await anchor.latest(), undefined);
    await (await place.open({ anchor })).close();
    await Deno.copyFile(place.db, `${place.folder}/old.db`);
    const os = await place.open({ anchor });
    await os.spawn(image, { goal: "work" });
    const { head, unanchored } = await os.seal();
    assert.deepEqual([unanchored, await anchor.latest(), kept.length], [[], head, 2]);
    assert.deepEqual((await os.verify()).map(({ broken }) => broken), [null, null]);
    await os.close();
    await Deno.copyFile(`${place.folder}/old.db`, place.db);
    await rejects(place.open({ anchor }), "EINTEGRITY");
    const old = kept[0]!;
    await rejects(anchor.put(old), "ESTALE");
    const stranger = new HttpAnchor(url);
    const refused = await rejects(stranger.put(old), "EIO");
    assert.match(refused.message, /answered 401 \("who are you"\)/);
    assert(!refused.message.includes("secret"));
    await rejects(stranger.latest(), "EIO");
  } finally {
    await server.shutdown();
  }
});

const ANSWERS: readonly (readonly [string, () => Response])[] = [
  ["nonsense", () => new Response("no head")],
  ["a head with more fields", () => Response.json({ type: "libos.head/1", more: 1 })],
  ["an endless answer", () => new Response(endless())],
  ["a redirection", () => new Response(null, { status: 302, headers: { location: "/other" } })],
  ["a failure", () => new Response("", { status: 503 })],
];

function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(1_024).fill(32)),
  });
}

for (const [what, answer] of ANSWERS) {
  Deno.test(`HttpAnchor answers to ${what} with EIO, and sealing goes on without it`, async () => {
    await using place = await Place.make();
    const first = await place.open();
    const { head } = await first.seal();
    await first.close();
    const { server, url } = serveHeads([head], answer);
    try {
      const anchor = new HttpAnchor(url, { headers });
      await rejects(anchor.latest(), "EIO");
      const os = await place.open({ anchor });
      await os.spawn(image, { goal: "work" });
      assert.equal((await os.seal()).head.size, 2);
      // Who asks for a check is not told that all is well while the anchor cannot be heard.
      await rejects(os.verify(), "EIO");
      await os.close();
    } finally {
      await server.shutdown();
    }
  });
}

Deno.test("HttpAnchor that cannot be reached is told of, and tried again with the next seal", async () => {
  await using place = await Place.make();
  const kept: SignedHead[] = [];
  const { server, url } = serveHeads(kept);
  await server.shutdown();
  const os = await place.open({ anchor: new HttpAnchor(url, { headers }), every: "1s" });
  assert.match(place.faults[0]!.message, /^Cannot anchor at http:\/\/127\.0\.0\.1:\d+\/heads: /);
  const { port } = new URL(url);
  const again = Deno.serve(
    { port: Number(port), hostname: "127.0.0.1", onListen() {} },
    () => new Response(null, { status: 204 }),
  );
  try {
    await place.clock.advance(1_100);
    assert.deepEqual((await os.seal()).unanchored, []);
    await os.close();
  } finally {
    await again.shutdown();
  }
  assert.throws(() => new HttpAnchor("ftp://x"), { code: "EINVAL" });
});
