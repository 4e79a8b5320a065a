/**
 * One request, decided at once in three ways by three people: with a token, in a browser's session,
 * and from a terminal beside the server, which is killed at each write in turn.
 * @module
 */

import assert from "node:assert/strict";
import { SqliteStore } from "../mod.ts";
import type { RequestId, TreeId } from "../kernel/ids.ts";
import { orderItem } from "../kernel/inbox.ts";

interface Life {
  readonly url: string;
  readonly secret: string;
  readonly starter: string;
  readonly link: string;
  end(): Promise<void>;
}

async function life(folder: string, when: string, n: number): Promise<Life> {
  const program = new URL("./server_kill_child.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--no-prompt", program, folder, when, String(n)],
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

type Answer = { readonly status: number; readonly json: Record<string, unknown> } | null;

/** Asks a server that may die; null when it did. */
async function ask(at: Life, path: string, given: RequestInit = {}): Promise<Answer> {
  try {
    const answer = await fetch(`${at.url}${path}`, {
      ...given,
      headers: {
        authorization: `Bearer ${at.starter}`,
        "content-type": "application/json",
        ...given.headers as Record<string, string>,
      },
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

/** A process that asks, and what it asks. */
async function asking(at: Life): Promise<{ readonly pid: string; readonly one: Shown }> {
  const wish = { image: "writer", goal: "write", grants: ["ask file.write(./out/**)"] };
  const made = await ask(at, "/v1/processes", { method: "POST", body: JSON.stringify(wish) });
  const pid = String(made!.json["pid"]);
  for (;;) {
    const { items: [one] } = (await ask(at, "/v1/approvals"))!.json as { items: Shown[] };
    if (one !== undefined) return { pid, one };
    await ask(at, `/v1/processes/${pid}/wait?timeoutMs=20`);
  }
}

/** A browser that is signed in. */
async function session(at: Life): Promise<Record<string, string>> {
  const signed = await fetch(at.link, { redirect: "manual" });
  await signed.body?.cancel();
  const cookie = signed.headers.get("set-cookie")!.split(";")[0]!;
  const who = await fetch(`${at.url}/v1/whoami`, { headers: { cookie } });
  return { cookie, "x-libos-csrf": (await who.json()).csrf };
}

const EDITED = { path: "./out/b.md", text: "edited\n", mode: "create" };

/** All three at once; what the two over HTTP were answered. */
async function decideThrice(
  at: Life,
  folder: string,
  { id, call: { argsHash } }: Shown,
): Promise<readonly [Answer, Answer]> {
  const browser = await session(at);
  const path = `/v1/approvals/${id}/decision`;
  const said = (decision: unknown, headers: Record<string, string>) =>
    fetch(`${at.url}${path}`, {
      method: "POST",
      body: JSON.stringify({ decision, argsHash }),
      headers: { "content-type": "application/json", ...headers },
    }).then(async (got): Promise<Answer> => ({ status: got.status, json: await got.json() }))
      .catch(() => null);
  const terminal = async (): Promise<void> => {
    const store = SqliteStore.open(`${folder}/store.db`, { mode: "join" });
    const answer = { outcome: "edit", args: EDITED } as const;
    const order = { kind: "answer", request: id as RequestId, answer, by: "tess" } as const;
    const tree: TreeId = `t_${Number(id.slice(4).split(".")[0])}`;
    await store.putInbox(tree, orderItem(`cli:${id}`, { ...order, argsHash }));
    await store.close();
  };
  const [ada, cleo] = await Promise.all([
    said({ outcome: "approve" }, { authorization: `Bearer ${at.secret}` }),
    said({ outcome: "deny", reason: "no" }, browser),
    terminal(),
  ]);
  return [ada, cleo];
}

/** What each outcome comes to: who said so, what the agent got, which file there is. */
const COMES_TO: Readonly<Record<string, readonly [by: string, result: string, file: string]>> = {
  approve: ["ada", "written", "a.md"],
  deny: ["cleo", "EACCES", ""],
  edit: ["tess", "written", "b.md"],
};

interface Line {
  readonly type: string;
  readonly data: {
    readonly by?: string;
    readonly name?: string;
    readonly answer?: { readonly outcome: string };
  };
}

/** One round; whether the server died in it, and how it was decided. */
async function round(when: string, n: number): Promise<{ hasDied: boolean; outcome: string }> {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/files/out`, { recursive: true });
  let at = await life(folder, when, n);
  try {
    const { pid, one } = await asking(at);
    const [ada, cleo] = await decideThrice(at, folder, one);
    const wait = `/v1/processes/${pid}/wait`;
    const hasDied = await ask(at, wait) === null;
    await at.end();
    at = await life(folder, "never", 0);
    const { json } = (await ask(at, wait))!;
    const list = (await ask(at, `/v1/trees/t_${pid.slice(2)}/events?limit=500&reveal=true`))!.json;
    const lines = list["items"] as readonly Line[];
    const claim = `${when} write ${n}: ${JSON.stringify([ada, cleo, json])}`;
    const decided = lines.filter(({ type }) => type === "human.answered");
    assert.equal(decided.length, 1, claim);
    const outcome = decided[0]!.data.answer!.outcome;
    const [by, result, file] = COMES_TO[outcome]!;
    assert.deepEqual([decided[0]!.data.by, json["result"]], [by, result], claim);
    const files = [...Deno.readDirSync(`${folder}/files/out`)].map(({ name }) => name);
    assert.deepEqual(files, file === "" ? [] : [file], claim);
    const sent = lines.filter(({ type, data }) =>
      type === "call.intent" && data.name === "file.write"
    );
    assert(sent.length <= 1, claim);
    for (const [who, answer] of [["ada", ada], ["cleo", cleo]] as const) {
      if (answer === null) continue;
      if (by === who) assert.equal(answer.status, 200, claim);
      else assert.match(`${answer.status} ${answer.json["code"]}`, /^(409|404) /, claim);
    }
    return { hasDied, outcome };
  } finally {
    await at.end();
    await Deno.remove(folder, { recursive: true });
  }
}

for (const when of ["before", "after"]) {
  Deno.test(`Three decide at once and the server is killed ${when} any write: one wins, and no other`, async () => {
    let n = 1;
    while ((await round(when, n)).hasDied) n += 1;
    assert(n > 2, `there were ${n - 1} writes to die at`);
  });
}
