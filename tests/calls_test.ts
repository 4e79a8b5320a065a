/**
 * What is derived from the table of calls is what the table says.
 * @module
 */

import assert from "node:assert/strict";
import type { z } from "zod";
import type { Args, Reply, SyscallName } from "../broker/client.ts";
import { callTypes } from "../broker/generate.ts";
import { RIGHTS, SYSCALLS } from "../broker/table.ts";
import { argumentsSchema, libc, LIBC_CALLS } from "../tools/libc.ts";

type Table = typeof SYSCALLS;
/** Compiles only while each generated type takes what the table takes, and answers what it answers. */
type Agreeing = {
  readonly [N in SyscallName]: z.input<Table[N]["args"]> extends Args<N> ? true : never;
};
type Answering = { readonly [N in SyscallName]: Reply<N> extends object | null ? true : never };
const agreeing: Partial<Agreeing> & Partial<Answering> = {};

async function formatted(source: string): Promise<string> {
  const fmt = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--line-width=100", "--ext=ts", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = fmt.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source));
  await writer.close();
  return new TextDecoder().decode((await fmt.output()).stdout);
}

Deno.test("broker/calls.ts is what the table generates", async () => {
  assert.deepEqual(agreeing, {});
  const written = await Deno.readTextFile(new URL("../broker/calls.ts", import.meta.url));
  assert.equal(written, await formatted(callTypes(SYSCALLS)));
});

Deno.test("Each call is noun.verb, says what it does, and has a right of its name", () => {
  for (const [name, { about, effect, args, reply }] of Object.entries(SYSCALLS)) {
    assert.match(name, /^[a-z]+\.[a-z]+$/);
    assert.match(about, /^[A-Z][^.]*[^.]$/, name);
    assert.ok(["observe", "mutate", "emit"].includes(effect), name);
    assert.ok(RIGHTS.includes(name), name);
    assert.ok(args !== undefined && reply !== undefined, name);
  }
});

Deno.test("Each call's arguments have a JSON Schema that models can be shown", () => {
  for (const [name, { args }] of Object.entries(SYSCALLS)) {
    const schema = argumentsSchema(args);
    assert.equal(schema["type"], "object", name);
    assert.ok(!JSON.stringify(schema).includes("tsType"), name);
  }
});

Deno.test("libc() makes a tool for each call it names, and each names the call it uses", () => {
  const tools = libc(SYSCALLS);
  assert.deepEqual(tools.map(({ uses }) => uses[0]), [...LIBC_CALLS]);
  for (const { name, description } of tools) {
    assert.match(name, /^[a-z]+_[a-z]+$/);
    assert.ok(description.length > 0);
  }
});
