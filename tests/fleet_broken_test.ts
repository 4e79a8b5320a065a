/**
 * Trees that stopped since their database said EIO: they go on once it works again.
 * @module
 */

import assert from "node:assert/strict";
import { SysError } from "../kernel/errors.ts";
import { allow, createRuntime, defineImage, openNet, type Runtime } from "../mod.ts";
import { PostgresStore } from "../postgres.ts";
import { fleetClaims, type FleetPlace } from "./fleet_place.ts";

const claim = fleetClaims("broken");

/** A node whose database refuses the first commit that begins an effect, and counts what is sent. */
class Broken implements AsyncDisposable {
  readonly os: Runtime;
  sent = 0;
  #stack = new AsyncDisposableStack();

  private constructor(os: Runtime) {
    this.os = os;
  }

  static async make(place: FleetPlace, autorun: boolean): Promise<Broken> {
    let fails = 0;
    const inner = await PostgresStore.open(place.url, { connections: 2 });
    const store = new Proxy(inner, {
      get: (target, key) => {
        const value = Reflect.get(target, key, target);
        if (typeof value !== "function") return value;
        return (...given: readonly unknown[]) => {
          const isEffect = key === "commit" && JSON.stringify(given).includes("call.intent");
          if (!isEffect || fails === 0) return value.apply(target, given);
          fails -= 1;
          const sentence = "Cannot write to the store: it says so once, expected that it works";
          return Promise.reject(new SysError("EIO", sentence));
        };
      },
    });
    const os = await createRuntime({
      ...{ store, autorun, workspace: null, approvals: "deny", net: openNet() },
      node: { leaseMs: 1_500 },
    });
    const made = new Broken(os);
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
      made.sent += 1;
      return new Response("done");
    });
    const origin = `http://127.0.0.1:${server.addr.port}`;
    made.#stack.defer(() => inner.close());
    made.#stack.defer(() => os.close());
    made.#stack.defer(() => server.shutdown());
    const sender = defineImage({
      name: "sender",
      program: async ({ sys }) => {
        await sys.message.receive({});
        const { status } = await sys.net.fetch({ url: `${origin}/`, method: "POST" });
        await sys.process.exit({ result: status });
      },
    });
    const grants = [allow("net.fetch", `${origin}/**`)];
    const process = await os.spawn(sender, { goal: "Send", grants });
    fails = 1;
    await process.send("Now");
    return made;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

claim(
  "What a database refused with EIO is not sent, and its tree is there when it is asked for again",
  async (place) => {
    await using at = await Broken.make(place, false);
    await at.os.runUntilIdle();
    assert.equal(at.os.node.broken.get("t_1")?.code, "EIO");
    assert.equal(at.sent, 0);
    const ended = (await at.os.get("p_1"))!.wait();
    await at.os.runUntilIdle();
    assert.equal((await ended).result, 200);
    assert.equal(at.sent, 1);
    assert.equal(at.os.node.broken.size, 0);
    assert.deepEqual((await at.os.verify()).map(({ broken }) => broken), [null]);
  },
);

claim(
  "A tree that stopped since its database refused a commit goes on by itself, and acts once",
  async (place) => {
    await using at = await Broken.make(place, true);
    await place.until("SELECT FROM $.trees WHERE NOT live");
    assert.equal(at.sent, 1);
    assert.equal(at.os.node.broken.size, 0);
  },
);
