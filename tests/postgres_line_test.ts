/**
 * The line to PostgreSQL: who is spoken to, and what is said in clear.
 * @module
 */

import assert from "node:assert/strict";
import { isPrivateHost, readAddress } from "../providers/postgres_address.ts";
import { PostgresStore } from "../postgres.ts";
import { SITE_CERT, SITE_KEY, TEST_CA } from "./net_place.ts";
import { noPostgres, type Server, startPostgres } from "./postgres_place.ts";
import { newTree, rejects } from "./store_fixture.ts";
import { TcpProxy } from "./tcp_proxy.ts";

const ignore = noPostgres() !== undefined || Deno.env.get("LIBOS_TEST_PG") !== undefined;
let secure: Server;
let folder: string;

Deno.test.beforeAll(async () => {
  if (ignore) return;
  folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/ca.pem`, TEST_CA);
  secure = await startPostgres(
    ["fsync=off", "ssl=on", "ssl_cert_file=site.crt", "ssl_key_file=site.key"],
    {
      files: {
        "site.crt": SITE_CERT,
        "site.key": SITE_KEY,
        // Whoever comes in clear is not let in.
        "pg_hba.conf": "hostssl all all 127.0.0.1/32 trust\n",
      },
    },
  );
});
Deno.test.afterAll(async () => {
  if (ignore) return;
  await secure.stop();
  await Deno.remove(folder, { recursive: true });
});

/** Hosts, and whether they are reached without leaving what their owner runs. */
const HOSTS: readonly (readonly [string, boolean])[] = [
  ["127.0.0.1", true],
  ["10.1.2.3", true],
  ["192.168.0.9", true],
  ["[::1]", true],
  ["[fd12::1]", true],
  ["localhost", true],
  ["db", true],
  ["db.internal", true],
  ["db.internal.", true],
  ["db,10.0.0.1", true],
  ["db.example.com,db.internal", false],
  ["8.8.8.8", false],
  ["169.254.169.254", false],
  ["[2a00::1]", false],
  ["db.example.com", false],
  ["internal.example.com", false],
  ["localhost.example.com", false],
];

for (const [host, isPrivate] of HOSTS) {
  Deno.test(`D1 ${host} is ${isPrivate ? "spoken to in clear" : "asked for its certificate"} unless the address says otherwise`, () => {
    assert.equal(isPrivateHost(host), isPrivate);
    const at = (rest: string) => readAddress(`postgres://u@${host}/d${rest}`, undefined).ssl;
    const address = /^[\d[][^,]*$/.test(host) ? { host: host.replace(/[[\]]/g, "") } : {};
    const checked = { rejectUnauthorized: true, ...address };
    assert.deepEqual(at(""), isPrivate ? false : checked);
    assert.equal(at("?sslmode=disable"), false);
    assert.deepEqual(at("?sslmode=require"), { rejectUnauthorized: false });
    assert.deepEqual(at("?sslmode=verify-full"), checked);
  });
}

Deno.test("sslmode and sslrootcert that are none are refused", () => {
  const at = (rest: string) => () => readAddress(`postgres://u@db/d?${rest}`, undefined);
  for (const mode of ["prefer", "allow", "", "VERIFY-FULL"]) {
    assert.throws(at(`sslmode=${mode}`), /expected disable, require or verify-full/);
  }
  assert.throws(at("sslrootcert=/nowhere/ca.pem"), { code: "ENOENT" });
});

Deno.test({
  name: "D1 A server is believed by its certificate for just the name that was asked for",
  ignore,
  fn: async () => {
    await using line = new TcpProxy(Number(new URL(secure.url).port));
    const at = (rest: string, host = "127.0.0.1") => {
      const url = new URL(secure.url);
      url.port = `${line.port}`;
      url.host = `${host}:${line.port}`;
      return `${url.href}?${rest}`;
    };
    const open = (url: string) => PostgresStore.open(url, { connections: 1, awayMs: 3_000 });
    const ca = `sslrootcert=${folder}/ca.pem`;
    for (const rest of [ca, `${ca}&sslmode=verify-full`, "sslmode=require"]) {
      const store = await open(at(rest));
      await newTree(store);
      await store.close();
    }
    // An authority that nobody here believes in, and a name that is not in the certificate.
    await rejects(open(at("sslmode=verify-full")), "EACCES");
    await rejects(open(at(ca, "localhost")), "EACCES");
    // The server takes nobody who comes in clear.
    await rejects(open(at("sslmode=disable")), "EACCES");
  },
});

Deno.test({
  name: "D1 A server that offers no encryption hears nothing but that it was wanted",
  ignore,
  fn: async () => {
    const heard: number[] = [];
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const serving = (async () => {
      for await (const conn of listener) {
        const bytes = new Uint8Array(1_024);
        heard.push(await conn.read(bytes) ?? 0);
        await conn.write(new TextEncoder().encode("N"));
        const more = await conn.read(bytes).catch(() => null);
        // The beginning of TLS, or nothing; never the name of who asks.
        assert.doesNotMatch(new TextDecoder().decode(bytes.subarray(0, more ?? 0)), /PRIVATE/);
        conn.close();
      }
    })().catch(() => {});
    const url = `postgres://PRIVATE:PRIVATE@127.0.0.1:${listener.addr.port}/x?sslmode=require`;
    await rejects(PostgresStore.open(url, { connections: 1, awayMs: 2_000 }), "EIO");
    assert(heard.length > 0 && heard.every((bytes) => bytes === 8), `${heard}`);
    listener.close();
    await serving;
  },
});
