/**
 * The server is killed between a decision and its effect, at each write in turn.
 * @module
 */

import assert from "node:assert/strict";

interface Life {
  readonly url: string;
  readonly secret: string;
  readonly starter: string;
  readonly child: Deno.ChildProcess;
  end(): Promise<void>;
}

async function life(folder: string, when: string, n: number): Promise<Life> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      "--no-prompt",
      new URL("./server_kill_child.ts", import.meta.url).pathname,
      folder,
      when,
      String(n),
    ],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    assert(!done, "the server says where it is");
    text += value;
  }
  return {
    ...JSON.parse(text),
    child,
    async end() {
      try {
        child.kill("SIGKILL");
      } catch {
        // It is dead already.
      }
      await child.status;
      await reader.cancel();
    },
  };
}

/** Asks a server that may die; null when it did. */
async function ask(
  at: Life,
  path: string,
  body?: unknown,
): Promise<{ readonly status: number; readonly json: Record<string, unknown> } | null> {
  // Who started it may see what it exited with, and not approve it.
  const secret = /^\/v1\/processes(\/|$)/.test(path) ? at.starter : at.secret;
  try {
    const answer = await fetch(`${at.url}${path}`, {
      headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    });
    return { status: answer.status, json: await answer.json() };
  } catch {
    return null;
  }
}

interface Shown {
  readonly id: string;
  readonly call: { readonly argsHash: string };
}

async function requests(at: Life): Promise<readonly Shown[]> {
  return (await ask(at, "/v1/approvals"))!.json["items"] as readonly Shown[];
}

/** A process that asks, started at a server. */
async function asking(at: Life): Promise<{ readonly pid: string; readonly one: Shown }> {
  const wish = { image: "writer", goal: "write", grants: ["ask file.write(./out/**)"] };
  const made = await ask(at, "/v1/processes", wish);
  assert.equal(made!.status, 201, JSON.stringify(made));
  const pid = String(made!.json["pid"]);
  for (;;) {
    const [one] = await requests(at);
    if (one !== undefined) return { pid, one };
    await ask(at, `/v1/processes/${pid}/wait?timeoutMs=20`);
  }
}

/** One round: a life that dies, one that goes on. Whether the first one died. */
async function round(when: string, n: number): Promise<boolean> {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/files/out`, { recursive: true });
  const first = await life(folder, when, n);
  let second: Life | undefined;
  try {
    const { pid, one } = await asking(first);
    const path = `/v1/approvals/${one.id}/decision`;
    const yes = { decision: { outcome: "approve" }, argsHash: one.call.argsHash };
    const answer = await ask(first, path, yes);
    const ended = answer === null ? null : await ask(first, `/v1/processes/${pid}/wait`);
    const hasDied = ended === null;
    await first.end();
    second = await life(folder, "never", 0);
    const [pending] = await requests(second);
    const again = await ask(second, path, yes);
    const claim = `${when} write ${n}: ${JSON.stringify(again!.json)}`;
    // What was acknowledged was decided; what was not may be, and is decided once in either case.
    if (answer?.status === 200) assert.equal(pending, undefined, claim);
    if (again!.status !== 200) {
      assert([409, 404].includes(again!.status), claim);
      assert.match(String(again!.json["code"]), /^(ESTATE|ENOENT)$/, claim);
    }
    const { json } = (await ask(second, `/v1/processes/${pid}/wait`))!;
    assert.deepEqual([json["ended"], json["result"]], [true, "written"], claim);
    assert.equal(await Deno.readTextFile(`${folder}/files/out/a.md`), "hello\n", claim);
    const log = (await ask(second, `/v1/trees/t_${pid.slice(2)}/events?limit=500`))!.json;
    const types = (log["items"] as readonly { type: string }[]).map(({ type }) => type);
    assert.equal(types.filter((type) => type === "human.answered").length, 1, claim);
    return hasDied;
  } finally {
    await first.end();
    await second?.end();
    await Deno.remove(folder, { recursive: true });
  }
}

for (const when of ["before", "after"]) {
  Deno.test(`A server killed ${when} any write after a yes: decided once, done once`, async () => {
    let n = 1;
    while (await round(when, n)) n += 1;
    assert(n > 3, `there were ${n - 1} writes to die at`);
  });
}
