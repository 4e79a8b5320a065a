/**
 * What a program connects to: private places and names by the capability that writes them out, and
 * names at the addresses that were checked.
 * @module
 */

import assert from "node:assert/strict";
import { allow, createRuntime, defineImage, deny, openNet, type Rule } from "../mod.ts";
import { CONNECT, connectPlace, mustWriteOutHost, writesOutHost } from "../kernel/net.ts";
import { describeReach, reachOf } from "../kernel/reach.ts";
import { Programs } from "../providers/confined.ts";
import { imageOf, inWorld, START_MS } from "./world_fixture.ts";

const { works, why } = new Programs().confinement();
const ignore = !works;
if (ignore) console.error(`tests of programs are skipped: ${why}`);

/** Connects to each host that it is told, and says what came of it. */
const CONNECTS = `const said = {};
for (const host of JSON.parse(Deno.args[0])) {
  const [, hostname, port] = /^(.*):(\\d+)$/.exec(host);
  try {
    const connection = await Deno.connect({ hostname, port: Number(port) });
    connection.close();
    said[host] = "reached";
  } catch (error) {
    said[host] = error.message;
  }
}
console.log(JSON.stringify(said));
`;

/** What a program says that connects to these, run by who holds these rights. */
async function connecting(
  hosts: readonly string[],
  given: { readonly grants: readonly Rule[]; readonly names?: Record<string, readonly string[]> },
): Promise<{ readonly said: Record<string, string>; readonly resolved: readonly string[] }> {
  const root = Deno.realPathSync(Deno.makeTempDirSync());
  const resolved: string[] = [];
  try {
    Deno.writeTextFileSync(`${root}/main.ts`, CONNECTS);
    await using os = await createRuntime({
      ...{ store: ":memory:", workspace: root, approvals: "queue", programs: true },
      net: openNet({
        resolve: (name) => {
          resolved.push(name);
          return Promise.resolve(given.names?.[name] ?? []);
        },
      }),
    });
    const image = defineImage({
      name: "runner",
      program: async ({ sys }) => {
        const { stdout, stderr } = await sys.program.run({
          path: "main.ts",
          args: [JSON.stringify(hosts)],
        });
        await sys.process.exit({ result: `${stdout}${stderr}` });
      },
    });
    const reads = ["file.read", "file.list", "file.stat"].map((right) => allow(right, "./**"));
    const process = await os.spawn(image, {
      goal: "connect",
      grants: [allow("program.run", "./**"), ...reads, ...given.grants],
    });
    const { result, outcome } = await process.wait();
    assert.equal(outcome.kind, "exited", JSON.stringify(outcome));
    return { said: JSON.parse(String(result)), resolved };
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

/** Counts who connects to this machine. */
function counting(): { readonly port: number; count(): number; [Symbol.dispose](): void } {
  let count = 0;
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  void (async () => {
    for await (const connection of listener) {
      count += 1;
      connection.close();
    }
  })().catch(() => {});
  return {
    port: listener.addr.port,
    count: () => count,
    [Symbol.dispose]: () => listener.close(),
  };
}

Deno.test({
  name: "A program with the whole network reaches nothing private, however it is written",
  ignore,
  fn: async () => {
    using inner = counting();
    const places = [
      ...["127.0.0.1", "127.1", "0x7f000001", "2130706433", "017700000001", "0.0.0.0", "0"],
      ...["localhost", "LOCALHOST.", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"],
      ...["inner.test", "ip6-localhost", "127.0.0.1.nip.test"],
    ].map((host) => `${host}:${inner.port}`);
    const clouds = ["169.254.169.254:80", "10.0.0.1:80", "100.100.100.200:80", "fd00:ec2::254:80"];
    const { said } = await connecting([...places, ...clouds], {
      grants: [allow(CONNECT), allow(CONNECT, "*"), allow(CONNECT, "127.0.0.1:*")],
      names: { "inner.test": ["127.0.0.1"], "127.0.0.1.nip.test": ["127.0.0.1"] },
    });
    for (const place of [...places, ...clouds]) {
      assert.match(said[place]!, /covers net\.connect|expected host:port/, place);
    }
    assert.equal(inner.count(), 0);
  },
});

Deno.test({
  name: "A program finds the names that its process was given, where they led when it was started",
  ignore,
  fn: async () => {
    using inner = counting();
    const at = (host: string) => `${host}:${inner.port}`;
    const { said, resolved } = await connecting(
      ["mine.test", "rebound.test", "unnamed.test", "127.0.0.1"].map(at),
      {
        grants: [
          allow(CONNECT),
          ...["mine.test", "rebound.test", "127.0.0.1"].map((host) => allow(CONNECT, at(host))),
        ],
        // One more address than the process may connect to takes the name away.
        names: { "mine.test": ["127.0.0.1"], "rebound.test": ["127.0.0.1", "127.0.0.2"] },
      },
    );
    assert.equal(said[at("127.0.0.1")], "reached");
    assert.equal(said[at("mine.test")], "reached");
    assert.match(said[at("rebound.test")]!, /not known|lookup/);
    assert.match(said[at("unnamed.test")]!, /covers net\.connect/);
    assert.deepEqual([...resolved].sort(), ["mine.test", "rebound.test"]);
    assert.equal(inner.count(), 2);
  },
});

Deno.test("connectPlace() has one spelling of a place, and none for what is no place", () => {
  for (
    const [given, place] of [
      ["127.1:80", "127.0.0.1:80"],
      ["0x7f000001:080", "127.0.0.1:80"],
      ["[::1]:80", "[::1]:80"],
      ["[::ffff:127.0.0.1]:80", "127.0.0.1:80"],
      ["Example.COM.:443", "example.com:443"],
      ["*.test:80", null],
      ["**", null],
      ["a.test", null],
      ["a.test:99999", null],
      ["a/b.test:80", null],
      ["a b.test:80", null],
      ["[::1:80", null],
      ["unix:/run/x", null],
    ] as const
  ) {
    assert.equal(connectPlace(given), place, given);
  }
});

Deno.test("A place that is or may be private is covered only by what writes it out", () => {
  for (
    const [place, must] of [
      ["1.1.1.1:443", false],
      ["[2606:4700::1]:443", false],
      ["10.0.0.1:80", true],
      ["[::1]:80", true],
      ["example.com:443", true],
      ["**", false],
    ] as const
  ) {
    assert.equal(mustWriteOutHost(CONNECT, [place]), must, place);
    assert.equal(writesOutHost(["**"], [place]), place === "**", place);
    assert.ok(writesOutHost([place], [place]), place);
  }
});

Deno.test("A program that nobody judges has a network only where private places were named", async () => {
  const reach = async (grants: readonly Rule[]): Promise<string> => {
    let text = "";
    await inWorld(async (world) => {
      const image = imageOf(({ sys }) => sys.clock.sleep({ ms: 3_600_000 }));
      const process = await world.start(image, { grants: [...grants] });
      const tree = await world.tree();
      const nowMs = START_MS;
      text = describeReach(reachOf(tree, {
        ...{ pid: process.pid, nowMs, untilMs: nowMs + 1_000, owned: [] },
        judgesNoConnection: true,
      }));
    });
    return text;
  };
  assert.match(await reach([allow(CONNECT)]), /no network$/);
  assert.match(await reach([allow(CONNECT, "private")]), /no network$/);
  assert.match(await reach([allow("*", "**")]), /no network$/);
  assert.match(await reach([allow(CONNECT), allow(CONNECT, "private")]), /has the network$/);
  const denied = [allow(CONNECT), allow(CONNECT, "private"), deny(CONNECT, "10.0.0.1:80")];
  assert.match(await reach(denied), /no network$/);
});
