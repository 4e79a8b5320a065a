/**
 * Attacks on the socket itself, by who says nothing, half of something, or too much of it.
 * @module
 */

import assert from "node:assert/strict";
import { asked } from "./server_attack_place.ts";
import { serverPlace } from "./server_place.ts";

const encoder = new TextEncoder();

async function connected(port: number): Promise<Deno.TcpConn> {
  return await Deno.connect({ hostname: "127.0.0.1", port });
}

Deno.test("Who takes every socket takes none from the kernel: it goes on, and answers again after", async () => {
  const { child, line, end } = started("ulimit -n 160", "attack_socket_child.ts");
  const { port, secret } = JSON.parse(await line()) as { port: number; secret: string };
  const headers = { authorization: `Bearer ${secret}` };
  const stream = await fetch(`http://127.0.0.1:${port}/v1/events`, { headers });
  const reader = stream.body!.getReader();
  await reader.read();
  const taken: Deno.TcpConn[] = [];
  // As many as there are; the last ones are refused or cut off.
  for (let i = 0; i < 600; i++) {
    const conn = await connected(port).catch(() => null);
    if (conn !== null) taken.push(conn);
  }
  assert(taken.length > 100);
  for (const conn of taken) conn.close();
  const over = child.status.then(({ code, signal }) => `the kernel ended: ${code} ${signal}`);
  const again = async (): Promise<string> => {
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${port}/v1/whoami`, { headers })
        .catch(() => null);
      if (answer?.status === 200) return (await answer.json()).name;
      await answer?.body?.cancel();
    }
  };
  assert.equal(await Promise.race([over, again()]), "ada");
  await reader.cancel();
  await end();
});

Deno.test("Who takes every file as soon as a server listens ends nothing", async () => {
  const { line, end } = started("ulimit -n 160", "attack_socket_child.ts", "taken");
  const { port, secret } = JSON.parse(await line()) as { port: number; secret: string };
  const headers = { authorization: `Bearer ${secret}` };
  const answer = await fetch(`http://127.0.0.1:${port}/v1/whoami`, { headers });
  assert.equal((await answer.json()).name, "ada");
  await end();
});

Deno.test("A server stops though somebody reads no answer, ends no head and sends no body", async () => {
  const at = await serverPlace();
  const conns: Deno.TcpConn[] = [];
  const { port } = at.server;
  const head = asked(at, "GET /openapi.json", { connection: "keep-alive" });
  const reading = await connected(port);
  conns.push(reading);
  // More answers than any buffer on the way holds.
  const many = encoder.encode(head.repeat(200));
  for (let sent = 0; sent < many.length;) sent += await reading.write(many.subarray(sent));
  const half = await connected(port);
  conns.push(half);
  await half.write(encoder.encode(head.slice(0, -4)));
  const owing = await connected(port);
  conns.push(owing);
  const owed = { "content-type": "application/json", "content-length": "9" };
  await owing.write(encoder.encode(`${asked(at, "POST /v1/tokens", owed)}{`));
  assert.equal((await at.ask("viewer", "/v1/health")).status, 200);
  await at.server.close();
  await assert.rejects(connected(port));
  for (const conn of conns) conn.close();
  await at[Symbol.asyncDispose]();
});

Deno.test("Who goes away in the middle of a body is no bug of the server", async () => {
  const bugs: unknown[] = [];
  const at = await serverPlace({ serve: { failed: (thrown) => bugs.push(thrown) } });
  for (let i = 0; i < 20; i++) {
    const conn = await connected(at.server.port);
    const owed = { "content-type": "application/json", "content-length": "9" };
    await conn.write(encoder.encode(`${asked(at, "POST /v1/tokens", owed)}{`));
    conn.close();
    await (await at.ask("viewer", "/v1/whoami")).body?.cancel();
  }
  await at[Symbol.asyncDispose]();
  assert.deepEqual(bugs, []);
});

/** A program of the tests under a limit of the shell's. */
function started(limit: string, program: string, word = "") {
  const path = new URL(program, import.meta.url).pathname;
  const run = `"${Deno.execPath()}" run -A --no-check --no-prompt "${path}" ${word}`;
  const child = new Deno.Command("sh", {
    args: ["-c", `${limit}; exec ${run}`],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  return {
    child,
    async line(): Promise<string> {
      let text = "";
      while (!text.includes("\n")) {
        const { done, value } = await reader.read();
        assert(!done, "the program says where it is");
        text += value;
      }
      return text;
    },
    async end(): Promise<void> {
      child.kill("SIGKILL");
      await child.status;
      await reader.cancel();
    },
  };
}
