/**
 * Mounted servers, good and hostile: real programs behind real walls.
 * @module
 */

import assert from "node:assert/strict";
import type { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { mountReach } from "../kernel/mcp_reach.ts";
import { NO_REACH, type Reach } from "../kernel/reach.ts";
import { Programs } from "../providers/confined.ts";
import { startMcpChild } from "../providers/mcp_child.ts";
import { mountMcp } from "../providers/mcp_host.ts";
import { McpLink } from "../providers/mcp_link.ts";
import { McpPipe } from "../providers/mcp_pipe.ts";
import { walled } from "./confined_place.ts";
import { callOf, inWorkspace, mountOf, pinnedMount } from "./mcp_place.ts";

const DOCS = [{ path: "./docs", writes: false }] as const;

/** The text of a call's answer. */
async function said(answer: ReturnType<typeof callOf>): Promise<string> {
  const done = await answer;
  assert.equal(done.kind, "done");
  return (done as unknown as { content: readonly { text: string }[] }).content.map(({ text }) =>
    text
  ).join();
}

walled(
  "A server sees of the workspace what its mount names, and nothing else of the machine",
  () =>
    inWorkspace(async (root) => {
      const mount = await pinnedMount(mountOf("good", { areas: DOCS }), root);
      await using host = mountMcp([mount], { root });
      assert.equal(await said(callOf(host, "read", { path: `${root}/docs/note.txt` })), "hello");
      const kept = ["/etc/shadow", `${root}/secret.txt`, `${Deno.env.get("HOME")}/.profile`];
      for (const path of kept) {
        assert.match(await said(callOf(host, "read", { path })), /^[A-Z]\w+: /, path);
      }
      const path = `${root}/docs/new.txt`;
      assert.match(await said(callOf(host, "write", { path, text: "x" })), /Read-only file system/);
      assert.equal(host.servers()[0]!.confinement, "confined: reads ./docs/**; no network");
    }),
);

walled(
  "A server sees for a process no more than that process may",
  () =>
    inWorkspace(async (root) => {
      const mount = await pinnedMount(
        mountOf("good", { areas: [{ path: ".", writes: true }] }),
        root,
      );
      await using host = mountMcp([mount], { root });
      const note = { path: `${root}/docs/note.txt` };
      assert.match(await said(callOf(host, "read", note, { reach: NO_REACH })), /^NotFound/);
      const reach = mountReach({ areas: DOCS, net: true });
      assert.equal(await said(callOf(host, "read", note, { reach })), "hello");
      assert.match(
        await said(callOf(host, "read", { path: `${root}/secret.txt` }, { reach })),
        /^Not/,
      );
      assert.match(
        await said(callOf(host, "write", { ...note, text: "" }, { reach })),
        /Read-only/,
      );
    }),
);

walled(
  "A server sees no name that rules take from its caller, whenever that came",
  () =>
    inWorkspace(async (root) => {
      const areas = [{ path: ".", writes: true }];
      const mount = await pinnedMount(mountOf("good", { areas }), root);
      await using host = mountMcp([mount], { root });
      const unseen = ["./**/*.env"];
      const all = { path: ".", kind: "folder", writes: true, holes: [], unseen } as const;
      const reach = { ...NO_REACH, areas: [all] };
      const read = (name: string) =>
        said(callOf(host, "read", { path: `${root}/docs/${name}` }, { reach }));
      Deno.writeTextFileSync(`${root}/docs/x.env`, "hush");
      assert.equal(await read("note.txt"), "hello");
      assert.match(await read("x.env"), /^PermissionDenied/);
      // It runs already, and another one takes its place.
      Deno.writeTextFileSync(`${root}/docs/late.env`, "hush");
      assert.match(await read("late.env"), /^PermissionDenied/);
      const made = callOf(host, "write", { path: `${root}/own.env`, text: "x" }, { reach });
      await assert.rejects(made, /"\.\/own\.env" came or changed while it ran/);
      assert.equal(await read("note.txt"), "hello");
    }),
);

walled(
  "A server's environment has what its mount names, and nothing of the runtime's",
  () =>
    inWorkspace(async (root) => {
      const mount = await pinnedMount(mountOf("good"), root);
      const env = (name: string) => name === "GIVEN" ? "one" : undefined;
      await using host = mountMcp([{ ...mount, env: ["GIVEN"] }], { root, env });
      const found = JSON.parse(await said(callOf(host, "environment"))) as Record<string, string>;
      const own = ["PWD", "SHLVL", "OLDPWD", "_"];
      const names = Object.keys(found).filter((name) => !own.includes(name)).sort();
      assert.deepEqual(names, ["GIVEN", "HOME", "LANG", "PATH"]);
      await using without = mountMcp([{ ...mount, env: ["ABSENT"] }], { root, env });
      await assert.rejects(callOf(without, "environment"), /ABSENT is not set/);
    }),
);

walled(
  "What a server asks is told to who called it, and answered when the call is made again",
  () =>
    inWorkspace(async (root) => {
      const mount = await pinnedMount(mountOf("good"), root);
      await using host = mountMcp([mount], { root });
      const first = await callOf(host, "ask");
      assert.equal(first.kind, "asks");
      const [question] = first.kind === "asks" ? first.questions : [];
      assert.equal(question?.message, "Your name?\\u{200b}");
      assert.deepEqual(Object.keys(question.schema["properties"] as object), ["name"]);
      const replies = { [question.key]: { action: "accept", content: { name: "Ada" } } } as const;
      const { pin } = mount.tools["ask"]!;
      const call = { server: "box", tool: "ask", pin, args: {}, replies, state: null };
      const again = await host.call(
        { ...call, timeoutMs: 60_000, reach: NO_REACH },
        new AbortController().signal,
      );
      assert.match(JSON.stringify(again), /accept.*Ada/);
    }),
);

walled(
  "A tool that changes while it is mounted is not called again until it is trusted",
  () =>
    inWorkspace(async (root) => {
      const mount = await pinnedMount(mountOf("changes"), root);
      await using host = mountMcp([mount], { root });
      assert.equal(await said(callOf(host, "echo", { text: "a" })), "a");
      await assert.rejects(callOf(host, "echo", { text: "b" }), { code: "EACCES" });
      const [echo, gone] = host.servers()[0]!.tools;
      assert.deepEqual([echo!.state, echo!.why], ["changed", "changed: description"]);
      // What models are shown is what was pinned.
      assert.equal(echo!.definition.description, "The tool echo");
      assert.deepEqual([gone!.state, gone!.why], ["changed", "the server offers it no longer"]);
    }),
);

/** What a hostile server does to a call, and what the call comes to. */
const HOSTILE: readonly (readonly [string, string, RegExp | string])[] = [
  ["never answers", "silent", /EINDOUBT Cannot tell whether .*/],
  ["floods with what nobody asked", "flood", /EINDOUBT .*says too much that answers nothing/],
  ["writes a line without an end", "line", /EINDOUBT .*a frame is too large/],
  ["answers what nobody asked", "forges", "a"],
  ["wants a model to think for it", "sampling", "null"],
  ["wants to know the folders", "roots", "null"],
  ["asks before it is greeted", "early", "a"],
  ["writes to screens", "ansi", "\u001b[2J\u001b]0;owned\u0007 ok"],
  ["floods its errors", "errors", "a"],
  ["has a schema a hundred deep", "bomb", "a"],
];

for (const [claim, mode, expected] of HOSTILE) {
  walled(
    `A server that ${claim} does no more than fail or answer its call`,
    () =>
      inWorkspace(async (root) => {
        const mount = await pinnedMount(mountOf(mode), root);
        await using host = mountMcp([mount], { root });
        const timeoutMs = mode === "silent" ? 500 : 60_000;
        const came = await said(callOf(host, "echo", { text: "a" }, { timeoutMs }))
          .catch(({ code, message }: SysError) => `${code} ${message}`);
        if (typeof expected === "string") assert.equal(came, expected);
        else assert.match(came, expected);
      }),
  );
}

walled(
  "A server that ends in the middle of a call leaves it in doubt, and is started again",
  () =>
    inWorkspace(async (root) => {
      const mount = await pinnedMount(mountOf("good"), root);
      await using host = mountMcp([mount], { root });
      await assert.rejects(callOf(host, "dies"), (error: SysError) => {
        assert.equal(error.code, "EINDOUBT");
        assert.match(error.message, /it ended with 3/);
        return true;
      });
      assert.equal(await said(callOf(host, "echo", { text: "a" })), "a");
      await assert.rejects(callOf(host, "dies"), { code: "EINDOUBT" });
      await assert.rejects(callOf(host, "dies"), { code: "EINDOUBT" });
      // H3
      await assert.rejects(callOf(host, "echo"), { code: "EAGAIN" });
    }),
);

walled(
  "A server that does not start says why, bounded and harmless",
  () =>
    inWorkspace(async (root) => {
      await assert.rejects(pinnedMount(mountOf("exits"), root), (error: SysError) => {
        assert.equal(error.code, "EIO");
        assert.match(error.message, /it ended with 7/);
        assert.ok(error.message.length < LIMITS.mcpErrorBytesMax + 500);
        return true;
      });
    }),
);

walled(
  "What a server says when it does not start is told to nobody who may see less than it",
  () =>
    inWorkspace(async (root) => {
      const mount = await pinnedMount(mountOf("tells", { areas: DOCS }), root);
      Deno.writeTextFileSync(`${root}/docs/words`, "the pay is 4711");
      await using host = mountMcp([mount], { root });
      const refused = (reach: Reach): Promise<string> =>
        host.ready("box", reach, AbortSignal.timeout(60_000))
          .then(() => "up", ({ code, message }: SysError) => `${code} ${message}`);
      const all = mountReach(mount);
      for (let i = 0; i < 2; i++) assert.match(await refused(all), /^EIO .*the pay is 4711/);
      // Now it rests, for whoever asks.
      assert.match(await refused(NO_REACH), /^EAGAIN .*it failed; it is tried again/);
      assert.match(await refused(all), /^EAGAIN .*the pay is 4711/);
    }),
);

walled(
  "A server that offers too much, or hides what it offers, has none of it called",
  () =>
    inWorkspace(async (root) => {
      const many = await pinnedMount(mountOf("many"), root);
      assert.deepEqual(Object.keys(many.tools), []);
      await assert.rejects(pinnedMount(mountOf("abyss"), root), { code: "EIO" });
      const hidden = await pinnedMount(mountOf("hidden"), root);
      assert.deepEqual(Object.keys(hidden.tools), ["echo"]);
    }),
);

walled(
  "A result is as large as a result may be, whatever a server sends",
  () =>
    inWorkspace(async (root) => {
      await using host = mountMcp([await pinnedMount(mountOf("huge"), root)], { root });
      const text = await said(callOf(host, "echo"));
      assert.equal(text.length, LIMITS.mcpResultBytesMax);
      await using odd = mountMcp([await pinnedMount(mountOf("odd"), root)], { root });
      const answer = await callOf(odd, "echo");
      assert.match(JSON.stringify(answer), /left out/);
    }),
);

walled(
  "A server that is slow to say what it speaks is not killed and started again for that",
  () =>
    inWorkspace(async (root) => {
      const place = { programs: new Programs(), root, reach: NO_REACH, env: () => undefined };
      const pipe = new McpPipe(await startMcpChild(mountOf("good"), place));
      // No program is there within a millisecond.
      const link = await McpLink.open(pipe, { http: false, legacy: false, probeMs: 1 });
      assert.deepEqual([link.protocol, (await link.tools()).length], ["2025-06-18", 6]);
      await link.close();
    }),
);

walled(
  "Resources and prompts are listed with nothing hidden, and read",
  () =>
    inWorkspace(async (root) => {
      await using host = mountMcp([await pinnedMount(mountOf("good"), root)], { root });
      const { signal } = new AbortController();
      const found = await host.readables("box", NO_REACH, signal);
      assert.deepEqual(found.map(({ kind, name }) => `${kind} ${name}`), [
        "resource demo://note",
        "prompt greet",
      ]);
      const at = { server: "box", reach: NO_REACH };
      assert.deepEqual(await host.read({ ...at, uri: "demo://note" }, signal), [
        { text: "A note", uri: "demo://note" },
      ]);
      const [message] = await host.read({ ...at, uri: "greet", prompt: { who: "Ada" } }, signal);
      assert.match(JSON.stringify(message), /Greet Ada/);
    }),
);

walled(
  "Nothing of a server is left when its runtime lets go of it",
  () =>
    inWorkspace(async (root) => {
      const mount = await pinnedMount(mountOf("silent"), root);
      const host = mountMcp([mount], { root });
      // Whether it was sent by then is all one.
      const call = assert.rejects(callOf(host, "echo"), { code: /^(EINDOUBT|EIO)$/ });
      await host.look("box", AbortSignal.timeout(60_000));
      await host.close();
      await call;
      await assert.rejects(callOf(host, "echo"), { code: "ECANCELED" });
    }),
);
