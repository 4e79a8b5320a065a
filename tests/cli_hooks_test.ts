/**
 * Claims about hooks from end to end: a request escalates by the clock, and what hooks were told is
 * told again when somebody asks for it.
 * @module
 */

import { deepStrictEqual as equal, match, ok } from "node:assert/strict";
import { ask, createRuntime, defineImage, type Hook, type Runtime } from "../mod.ts";
import { VirtualClock } from "../testing.ts";
import { START_MS } from "./world_fixture.ts";
import { Place } from "./cli_place.ts";

interface Got {
  readonly id: string;
  readonly event: string;
  readonly process: string;
  readonly at: string;
  readonly request: { readonly id: string; readonly kind: string; readonly resource: string };
}

/** A server on this machine that remembers what it was told. */
class Receiver implements AsyncDisposable {
  readonly got: Got[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #heard = Promise.withResolvers<void>();

  constructor(status: (nth: number) => number = () => 204) {
    const options = { port: 0, hostname: "127.0.0.1", onListen: () => {} };
    this.#server = Deno.serve(options, async (request) => {
      this.got.push(await request.json());
      this.#heard.resolve();
      this.#heard = Promise.withResolvers();
      return new Response(null, { status: status(this.got.length) });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  /** Waits until so many requests have come. */
  async upTo(count: number): Promise<readonly Got[]> {
    while (this.got.length < count) await this.#heard.promise;
    return this.got;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

const asker = defineImage({
  name: "asker",
  program: async ({ sys }) => {
    await sys.file.write({ path: "./out.md", text: "text" });
  },
});

async function runtime(
  place: Place,
  clock: VirtualClock,
  hooks: readonly Hook[],
): Promise<Runtime> {
  return await createRuntime({
    store: place.db,
    workspace: null,
    approvals: "queue",
    images: [asker],
    escalateMs: 60_000,
    clock,
    hooks,
  });
}

async function asks(os: Runtime): Promise<void> {
  await os.spawn(asker, { goal: "ask", grants: [ask("file.write", "./out*")] });
  await os.runUntilIdle();
}

Deno.test("A request that nobody answers in its time is told to servers and to commands, once", async () => {
  await using place = await Place.make();
  await Deno.mkdir(`${place.folder}/.libos`);
  await using receiver = new Receiver();
  const clock = new VirtualClock(START_MS);
  const script = `cat > "$0/in.new"; mv "$0/in.new" "$0/in.$LIBOS_EVENT"`;
  const watcher = Deno.watchFs(place.folder);
  await using os = await runtime(place, clock, [
    { url: receiver.url },
    { command: ["/bin/sh", "-c", script, place.folder], on: ["request.escalated"] },
  ]);
  await asks(os);
  const [created] = await receiver.upTo(1);
  equal([created!.event, created!.request.id], ["request.created", "req_1.1"]);
  await clock.advance(59_000);
  equal(receiver.got.length, 1, "its time is not over");
  await clock.advance(1_000);
  const [, escalated] = await receiver.upTo(2);
  equal([escalated!.event, escalated!.process, escalated!.request.kind], [
    ...["request.escalated", "p_1", "permission"],
  ]);
  equal(escalated!.request.resource, "./out.md");
  equal(Date.parse(escalated!.at), START_MS + 60_000);
  ok(escalated!.id !== created!.id);
  for await (const { paths } of watcher) {
    if (paths.some((path) => path.endsWith("/in.request.escalated"))) break;
  }
  const heard = JSON.parse(await place.read("in.request.escalated")) as Got;
  equal([heard.id, heard.event], [escalated!.id, "request.escalated"]);
  await clock.advance(600_000);
  equal(receiver.got.length, 2, "it is told once");
});

Deno.test("hooks resend tells again, under the same id, by id, by time and what was given up", async () => {
  await using place = await Place.make();
  await Deno.mkdir(`${place.folder}/.libos`);
  const none = await place.libos("hooks");
  equal(none.exit, 3);
  match(none.err, /Cannot open the book of hooks/);
  // The second is refused until it is given up; all else is taken.
  await using receiver = new Receiver((nth) => nth === 2 || nth === 3 ? 500 : 204);
  const clock = new VirtualClock(START_MS);
  const on = ["request.created", "request.escalated"] as const;
  const hook = { url: receiver.url, attempts: 2, retryMs: 10, on };
  // Time passes until so many requests have come.
  const passing = async (count: number): Promise<readonly Got[]> => {
    while (receiver.got.length < count) await clock.advance(20);
    return receiver.got;
  };
  await using os = await runtime(place, clock, [hook]);
  await asks(os);
  const [first] = await receiver.upTo(1);
  await clock.advance(60_000);
  await passing(3);
  const failed = await until(
    () => place.json<{ id: string; state: string }[]>("hooks"),
    (rows) => rows[0]?.state === "dead",
  );
  equal(failed.map(({ id }) => id), [receiver.got[2]!.id]);
  match(
    (await place.libos("hooks")).out,
    /request\.escalated +t_1#\d+ .* given up +2 +.*answered 500/,
  );
  match((await place.libos("hooks", "resend", "--failed")).out, /^1 to be told again, to 1 hooks/);
  equal((await passing(4))[3]!.id, failed[0]!.id);
  // One that it took already comes again under the id that it had.
  equal((await place.libos("hooks", "resend", first!.id, "-q")).out, `${first!.id}\n`);
  equal((await passing(5))[4], first);
  const days = `${Math.ceil((Date.now() - START_MS) / 86_400_000) + 1}d`;
  const said = await place.json<{ events: string[]; hooks: number }>(
    ...["hooks", "resend", "--since", days],
  );
  equal([said.events.length, said.hooks], [2, 1]);
  equal(new Set((await passing(7)).slice(5).map(({ id }) => id)), new Set(said.events));
  equal((await place.json<{ events: string[] }>("hooks", "resend", "--since", "1h")).events, []);
  for (const argv of [["resend"], ["resend", "evt_1", "--failed"], ["burn"]]) {
    equal((await place.libos("hooks", ...argv)).exit, 2, argv.join(" "));
  }
  equal((await place.libos("hooks", "resend", "evt_nosuch")).exit, 3);
});

/** Asks again until it is so. */
async function until<T>(get: () => Promise<T>, isSo: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await get();
    if (isSo(value)) return value;
  }
}
