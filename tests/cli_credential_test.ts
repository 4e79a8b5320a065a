/**
 * `libos credential`, and what `run` and `doctor` make of what it keeps.
 * @module
 */

import assert from "node:assert/strict";
import { contextOf } from "../cli/command.ts";
import { credentialFindings } from "../cli/credential_place.ts";
import { doctor } from "../cli/doctor.ts";
import type { Io } from "../cli/io.ts";
import { CredentialFile, keptCredentials } from "../providers/credential_file.ts";
import { StoreKey } from "../providers/store_key.ts";
import { Place } from "./cli_place.ts";
import { AtTerminal, terminalTest } from "./cli_terminal.ts";
import { answer, Site } from "./net_place.ts";

const SECRET = "sk-live-Zq7+/x9==distinct";

/** What doctor finds of credentials. */
function found(place: Place): string {
  const env = (name: string) => place.variables[name];
  const at = contextOf(doctor, [], { env, cwd: place.folder } as unknown as Io);
  return credentialFindings(at).map(({ state, detail }) => `${state} ${detail}`).join("\n");
}

async function placeWithHome(): Promise<Place> {
  const place = await Place.make();
  place.variables["HOME"] = `${place.folder}/home`;
  return place;
}

const fileOf = (place: Place) => `${place.folder}/home/.config/libos/credentials.json`;

Deno.test("libos credential keeps a secret that is typed, lists it unseen, and forgets it", async () => {
  await using place = await placeWithHome();
  place.secrets.push(SECRET, "sk-live-second-one");
  const said = [
    await place.libos("credential", "add", "shop", "--origin", "api.shop.test", "--prefix", "B "),
    await place.libos("credential", "ls"),
    await place.libos("credential", "ls", "-o", "json"),
  ];
  assert.equal(said[0]!.exit, 0, said[0]!.err);
  const info = await Deno.stat(fileOf(place));
  assert.equal(info.mode! & 0o777, 0o600);
  assert.match(await Deno.readTextFile(fileOf(place)), /sk-live-Zq7/);
  assert.match(said[1]!.out, /shop +https:\/\/api\.shop\.test +authorization +kept/);
  place.variables["LIBOS_DB"] = `${place.folder}/project/.libos/libos.db`;
  assert.match(found(place), /^ok 1 in .*, plain$/);
  const twice = await place.libos("credential", "add", "shop", "--origin", "api.shop.test");
  assert.match(twice.err, /it is there, expected another name/);
  assert.match(await Deno.readTextFile(fileOf(place)), /sk-live-Zq7/);
  for (const { out, err } of [...said, twice]) assert.doesNotMatch(out + err, /sk-live/);
  assert.equal((await place.libos("credential", "rm", "shop")).exit, 0);
  assert.equal((await place.libos("credential", "rm", "shop")).exit, 3);
  assert.doesNotMatch(await Deno.readTextFile(fileOf(place)), /sk-live/);
});

const ADD = ["credential", "add"];
const REFUSED: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ["a secret as an argument", [...ADD, "shop", SECRET, "--origin", "a.test"], 2, /others can see/],
  ["a secret as an option", [...ADD, "shop", `--value=${SECRET}`], 2, /'--value'/],
  ["a secret as a model's key", ["run", "agent", "x", `--model-key=${SECRET}`], 2, /--model-key/],
  [
    "a secret in place of a variable",
    [...ADD, "a", "--origin", "a.test", "--env", SECRET],
    2,
    /no name/,
  ],
  ["no origin", [...ADD, "shop"], 2, /--origin HOST/],
  ["an odd name", [...ADD, "Shop!", "--origin", "a.test"], 1, /\[EINVAL\]/],
  ["a pattern of origins", [...ADD, "shop", "--origin", "*.test"], 1, /\[EINVAL\]/],
  [
    "an origin that is not encrypted",
    [...ADD, "shop", "--origin", "http://a.test"],
    1,
    /encrypted/,
  ],
  [
    "a header that says where to go",
    [...ADD, "a", "--origin", "a.test", "--header", "host"],
    1,
    /header/,
  ],
  [
    "two places at once",
    [...ADD, "a", "--origin", "a.test", "--env", "A", "--file", "b"],
    2,
    /not both/,
  ],
  ["nothing typed", [...ADD, "shop", "--origin", "a.test"], 1, /nothing was typed/],
  ["an unknown verb", ["credential", "show"], 2, /expected add NAME/],
  ["a credential that is not kept", ["run", "nothing.ts", "--credential", "none"], 3, /absent/],
];

Deno.test("libos credential refuses what could leak or go astray, and says nothing secret", async () => {
  await using place = await placeWithHome();
  await place.write(
    "nothing.ts",
    `import { defineImage } from "@agent-libos/core";
export default { image: defineImage({ name: "n", program: async () => {} }), spawn: { goal: "-" } };`,
  );
  for (const [what, argv, exit, why] of REFUSED) {
    const said = await place.libos(...argv);
    assert.equal(said.exit, exit, `${what}: ${said.err}`);
    assert.match(said.err, why, what);
    assert.ok(!(said.out + said.err).includes(SECRET), what);
  }
  await assert.rejects(Deno.stat(fileOf(place)), Deno.errors.NotFound);
  const homeless = await Place.make();
  assert.match((await homeless.libos("credential", "ls")).err, /no home, expected HOME/);
  await homeless[Symbol.asyncDispose]();
});

Deno.test("Credentials are encrypted under the store's key, and only that key opens them", async () => {
  await using place = await placeWithHome();
  place.variables["LIBOS_KEY"] = "ab".repeat(32);
  place.secrets.push(SECRET);
  const added = await place.libos("credential", "add", "shop", "--origin", "api.shop.test");
  assert.match(added.out, /encrypted under the store's key/);
  const text = await Deno.readTextFile(fileOf(place));
  assert.doesNotMatch(text, /shop|sk-live/);
  assert.match((await place.libos("credential", "ls")).out, /shop/);
  const of = (digits: string) => new CredentialFile(fileOf(place), [StoreKey.of(digits)]);
  const [kept] = Object.values(of("ab".repeat(32)).read());
  assert.equal((kept as { value: string }).value, SECRET);
  for (const file of [of("cd".repeat(32)), new CredentialFile(fileOf(place))]) {
    assert.throws(() => file.read(), { code: "EACCES" });
    assert.throws(() => file.put("b", { hosts: ["b.test"], value: SECRET }), { code: "EACCES" });
  }
  const { key, sealed } = JSON.parse(text);
  const bytes = Uint8Array.fromBase64(sealed);
  for (const at of [0, 40, 50, bytes.length - 1]) {
    const changed = bytes.slice();
    changed[at]! ^= 1;
    const whole = JSON.stringify({ version: 1, key, sealed: changed.toBase64() });
    await Deno.writeTextFile(fileOf(place), whole);
    assert.throws(() => of("ab".repeat(32)).read(), { code: "EINTEGRITY" });
  }
  await Deno.writeTextFile(fileOf(place), text);
  delete place.variables["LIBOS_KEY"];
  assert.match(found(place), /^bad .*expected that key/);
  // A change of keys: written anew under the first of them.
  for (const [name, digits] of [["new", "cd"], ["old", "ab"]] as const) {
    const path = `${place.folder}/${name}.key`;
    await Deno.writeTextFile(path, digits.repeat(32), { mode: 0o600 });
  }
  const keys = ["--store-key", "new.key", "--store-key", "old.key"];
  assert.equal((await place.libos("credential", "seal", ...keys)).exit, 0);
  assert.deepEqual(Object.keys(of("cd".repeat(32)).read()), ["shop"]);
  assert.throws(() => of("ab".repeat(32)).read(), { code: "EACCES" });
});

Deno.test("doctor says what to do about a file of credentials that is open, odd or lacks a variable", async () => {
  await using place = await placeWithHome();
  const added = await place.libos(...ADD, "shop", "--origin", "a.test", "--env", "NO_SUCH_TOKEN");
  assert.equal(added.exit, 0, added.err);
  assert.match(found(place), /^bad "shop" needs variable NO_SUCH/);
  await Deno.chmod(fileOf(place), 0o640);
  assert.match(found(place), /^bad .*others may read it.*chmod 600 "/);
  // An agent hears that it cannot, and not where the file is.
  const credentials = keptCredentials(new CredentialFile(fileOf(place)));
  assert.throws(() => credentials.list(), (error: Error & { code: string }) => {
    return error.code === "EACCES" && !error.message.includes(place.folder);
  });
  await Deno.chmod(fileOf(place), 0o600);
  await Deno.writeTextFile(
    fileOf(place),
    `{"version":1,"credentials":{"a":{"value":"${SECRET}"}}}`,
  );
  assert.match(found(place), /^bad .*not what was written/);
  assert.ok(!found(place).includes(SECRET));
  // Beside a workspace's files agents may read it.
  place.secrets.push(SECRET);
  place.variables["LIBOS_CREDENTIALS"] = "here.json";
  await place.libos(...ADD, "shop", "--origin", "a.test");
  assert.match(found(place), /^note .*agents may read there/);
});

const CALLER = (origin: string): string =>
  `import { allow, defineImage } from "@agent-libos/core";
export default {
  image: defineImage({
    name: "caller",
    program: async ({ sys }) => {
      const all = [];
      for (const credential of ["shop", "other"]) {
        all.push(await sys.net.fetch({ url: "${origin}/", credential })
          .then(({ text }) => text, ({ code }) => code));
      }
      await sys.process.exit({ result: all });
    },
  }),
  spawn: { goal: "call", grants: [allow("net.fetch", "${origin}/**")] },
};
`;

Deno.test("libos run sends a kept credential for who was granted it, by name or by origin", async () => {
  await using place = await placeWithHome();
  await using site = new Site((request) => answer(200, /authorization: (.*)/.exec(request)?.[1]));
  await place.write("caller.ts", CALLER(site.origin));
  place.secrets.push(SECRET, "other-secret-0123");
  for (const name of ["shop", "other"]) {
    await place.libos("credential", "add", name, "--origin", site.origin, "--prefix", "Bearer ");
  }
  const run = async (...more: string[]) =>
    (await place.json<{ result: unknown }>("run", "caller.ts", ...more)).result;
  assert.deepEqual(await run(), ["EPERM", "EPERM"]);
  assert.equal(site.connections, 0);
  assert.deepEqual(await run("--credential", "shop"), ["[credential shop]", "EPERM"]);
  assert.deepEqual(await run("--grant", "credential.use(other)"), ["EPERM", "[credential other]"]);
  assert.deepEqual(await run("--credential", `${site.origin}/v1`), [
    "[credential shop]",
    "[credential other]",
  ]);
  assert.equal(site.seen.filter((one) => one.includes(`Bearer ${SECRET}`)).length, 2);
});

Deno.test("What is added, changed or removed in the file holds at once, and old secrets stay hidden", async () => {
  await using place = await placeWithHome();
  const path = fileOf(place);
  const file = new CredentialFile(path);
  const credentials = keptCredentials(file);
  assert.deepEqual(credentials.list(), []);
  file.put("shop", { hosts: ["a.test"], value: "first-secret-1" });
  assert.equal((await credentials.use("shop", "https://a.test")).value, "first-secret-1");
  file.put("shop", { hosts: ["a.test"], value: "second-secret-2" }, { replace: true });
  assert.equal((await credentials.use("shop", "https://a.test")).value, "second-secret-2");
  file.remove("shop");
  await assert.rejects(credentials.use("shop", "https://a.test"), { code: "ENOENT" });
  assert.equal(
    credentials.redact("first-secret-1 second-secret-2"),
    "[credential shop] [credential shop]",
  );
});

terminalTest("A secret that is typed is not shown, and can be mended", async () => {
  await using place = await Place.make();
  const argv = ["credential", "add", "shop", "--origin", "a.test", "--credentials", "kept.json"];
  const typing = new AtTerminal(place, ...argv);
  await typing.shows("(not shown): ");
  await typing.type("wrong\u0015sk-typed-0099x\u007f\r");
  assert.equal(await typing.ended(), 0, typing.screen);
  assert.doesNotMatch(typing.screen, /wrong|sk-typed/);
  const kept = new CredentialFile(`${place.folder}/kept.json`).read();
  assert.equal((kept["shop"] as { value: string }).value, "sk-typed-0099");
});
