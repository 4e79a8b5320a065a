/**
 * Evidence and the server itself: `explain`, `policy`, `verify`, `doctor`, `token` and
 * `overview`.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Client } from "../server/client.ts";
import type * as wire from "../server/client.ts";
import { ROLES } from "../server/principal.ts";
import { verifyFile } from "./audit_file.ts";
import { listDecisions } from "./audit_list.ts";
import { type Finding, listChecked } from "./audit_text.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { isFile } from "./files.ts";
import { list, show } from "./output.ts";
import { policyIn, showLoaded } from "./policy.ts";
import { amountText } from "./process_text.ts";
import { listOtherwise } from "./replay.ts";
import { systemOf } from "./system.ts";
import type { UnusedRule } from "../runtime/unused_rules.ts";
import type { Otherwise } from "../runtime/what_if.ts";
import { onlyOne, treesThere } from "./system_there.ts";
import { printTokens } from "./token_text.ts";
import { countOf, durationOf, labelsOf, spanOf } from "./words.ts";
import { realClock } from "../providers/clock.ts";

/** `explain`. */
export async function explainThere(at: Context, client: Client): Promise<number> {
  const [word] = at.words as [string];
  const call = /^(p_\d+(?:\.\d+)?)#(\d+)\.(.+)$/.exec(word);
  const tree = await treeOf(client, call === null ? at.flags.text("tree") : word);
  const seq = call === null ? Number(word.replace(/^#/, "")) : await lineOf(client, tree, call[0]);
  if (!Number.isSafeInteger(seq) || seq < 1) {
    const expected = 'expected the number of a line, or a call like "p_1#2.3"';
    throw new UsageError(`Cannot explain "${word}": ${expected}`);
  }
  const story = await client.get<wire.CallStory>(`/v1/calls/${tree}/${seq}/story`);
  const [first = "", ...rest] = story.story;
  const chain = story.chain.map(({ id, via, by }) => `${id} (${via} by ${by})`).join(" ⊂ ");
  show(at, story, {
    name: story.call,
    lines: [
      `#${story.seq} ${story.name} ${story.resource}  by ${story.call}`,
      `  decision  ${first}`,
      ...(chain === "" ? [] : [`  chain     ${chain}`]),
      ...(story.rule === null ? [] : [`  rule      ${story.rule}`]),
      ...rest.map((line) => `            ${line}`),
    ],
  });
  return EXIT.ok;
}

/** The tree that a word names; the only one for none. */
async function treeOf(client: Client, word: string | undefined): Promise<string> {
  const trees = await treesThere(client, word);
  return await onlyOne("tree", trees.length === 1 ? trees[0]! : "t_", () => Promise.resolve(trees));
}

/** The line of a call, as the log of its tree tells; that of its request while it waits. */
async function lineOf(client: Client, tree: string, call: string): Promise<number> {
  const [, pid = ""] = /^(.+)#(\d+)\.(.+)$/.exec(call)!;
  const asked: number[] = [];
  const query = { pid, limit: 500 };
  const path = `/v1/trees/${tree}`;
  for await (const line of client.all<wire.Event>(`${path}/events`, query)) {
    if (line.type === "human.asked") asked.unshift(line.seq);
    else if (line.call === call) return line.seq;
  }
  // The line of a request does not say its step, but its story does.
  for (const seq of asked) {
    const story = await client.get<wire.CallStory>(`/v1/calls/${tree}/${seq}/story`);
    if (story.call === call) return seq;
  }
  const state = "absent, expected one of the log";
  throw new SysError("ENOENT", `Cannot explain call "${call}": ${state}`);
}

/** `policy test | load | show | unused`. */
export async function policyThere(at: Context, client: Client): Promise<number> {
  const [verb, first, pid] = at.words;
  if (verb === "test" && first !== undefined && pid !== undefined) {
    const { text } = await policyIn(at, first);
    const until = countOf(at.flags.text("until"), "--until");
    const found = await systemOf(at).process(pid);
    const trial = { text, ...(until === undefined ? {} : { until }) };
    return listOtherwise(at, await client.testPolicy(found.pid, trial) as readonly Otherwise[]);
  }
  if (pid !== undefined) throw new UsageError(`Cannot run "policy ${verb}": too many words`);
  if (verb === "load" && first !== undefined) return await loadThere(at, client, first);
  if (verb !== "show" && verb !== "unused") {
    throw new UsageError(`Cannot run "policy ${verb}": expected ${at.command.usage}`);
  }
  const tree = await treeOf(client, first ?? at.flags.text("tree"));
  if (verb === "unused") {
    const { items } = await client.get<wire.UnusedRules>(`/v1/trees/${tree}/policy/unused`);
    return listUnused(at, items);
  }
  const found = await client.get<wire.Policy>(`/v1/trees/${tree}/policy`);
  const lines = found.text === "" ? [`# ${tree} has no policy`] : found.text.trimEnd().split("\n");
  show(at, found, { name: tree, lines });
  return EXIT.ok;
}

async function loadThere(at: Context, client: Client, file: string): Promise<number> {
  const { text, count } = await policyIn(at, file);
  const word = at.flags.text("tree");
  const live = client.all<{ readonly tree: string }>("/v1/trees");
  const trees = word === undefined
    ? (await Array.fromAsync(live)).map(({ tree }) => tree)
    : await treesThere(client, word);
  for (const tree of trees) await client.loadPolicy(tree, text);
  return showLoaded(at, file, { trees, count });
}

/** Prints rules that decided no call. */
export function listUnused(at: Context, rules: readonly UnusedRule[]): number {
  list(at, rules, {
    columns: [
      { head: "LINE", of: ({ line }) => String(line) },
      { head: "RULE", of: ({ rule }) => rule },
    ],
    name: ({ rule }) => rule,
    none: "Every rule has decided a call",
  });
  return EXIT.ok;
}

/** `verify`. */
export async function verifyThere(at: Context, client: Client): Promise<number> {
  const [word] = at.words;
  if (word !== undefined && await isFile(at, word)) return await verifyFile(at, word);
  if (word !== undefined) {
    const [tree = ""] = await treesThere(client, word);
    const checked = await client.verifyTree(tree) as readonly Finding[];
    listChecked(at, checked);
    return checked.every(({ ok }) => ok) ? EXIT.ok : EXIT.integrity;
  }
  const found = await client.verifyAudit();
  if (at.format !== "table" && at.format !== "wide") {
    listChecked(at, found.checked as readonly Finding[]);
    return found.ok ? EXIT.ok : EXIT.integrity;
  }
  show(at, found, {
    name: found.ok ? "ok" : "broken",
    lines: found.ok
      ? [`${found.trees} trees, ${found.lines} lines, chain OK`]
      : found.broken.map(({ tree, why }) => `${tree} BROKEN: ${why}`),
  });
  return found.ok ? EXIT.ok : EXIT.integrity;
}

/** `audit ls | verify`: the verbs of `audit` that a server knows. */
export async function auditThere(at: Context, client: Client): Promise<number> {
  const [verb = "ls", ...rest] = at.words;
  if (verb === "ls" && rest.length < 2) return await listDecisions(at, rest[0] ?? "");
  if (verb !== "verify") {
    throw new UsageError(`Cannot run "audit ${verb}" on a server: expected audit ls or verify`);
  }
  return await verifyThere({ ...at, words: rest }, client);
}

/** `doctor`. */
export async function doctorThere(at: Context, client: Client): Promise<number> {
  const { items } = await client.get<wire.Doctor>("/v1/doctor");
  list(at, items, {
    columns: [
      { head: "WHAT", of: ({ what }) => what },
      { head: "STATE", of: ({ state }) => state },
      { head: "DETAIL", of: ({ detail }) => detail },
    ],
    name: ({ what }) => what,
    none: "Nothing was looked at",
  });
  return items.some(({ state }) => state === "bad") ? EXIT.error : EXIT.ok;
}

/** `token create | ls | revoke`. */
export async function tokenThere(at: Context, client: Client): Promise<number> {
  const [verb, word] = at.words;
  if (verb === "ls" && word === undefined) return await listTokens(at, client);
  if (verb === "create" && word !== undefined) return await createToken(at, client, word);
  if (verb === "revoke" && word !== undefined) {
    const known = (await tokensThere(client)).map(({ id }) => id);
    const id = await onlyOne("token", word, () => Promise.resolve(known));
    await client.send("DELETE", `/v1/tokens/${encodeURIComponent(id)}`);
    show(at, { id, revoked: true }, { name: id, lines: [`${id} is good for nothing any more`] });
    return EXIT.ok;
  }
  throw new UsageError(`Cannot run "token ${at.words.join(" ")}": expected create, ls or revoke`);
}

async function listTokens(at: Context, client: Client): Promise<number> {
  return printTokens(at, await tokensThere(client));
}

async function tokensThere(client: Client): Promise<readonly wire.Token[]> {
  return (await client.get<{ readonly items: readonly wire.Token[] }>("/v1/tokens")).items;
}

async function createToken(at: Context, client: Client, name: string): Promise<number> {
  const role = at.flags.text("role");
  if (!ROLES.some((one) => one === role)) {
    throw new UsageError(`Cannot make a token: expected --role ${ROLES.join(", ")}`);
  }
  const labels = labelsOf(at.flags.texts("label"));
  const forMs = durationOf(at.flags.text("for"));
  const body = { name, role, labels, ...(forMs === undefined ? {} : { forMs }) };
  const made = await client.send<wire.NewToken>("POST", "/v1/tokens", { body });
  show(at, made, {
    name: made.secret,
    lines: [`${made.id}  ${name}  ${role}`, `Token, shown this once: ${made.secret}`],
  });
  return EXIT.ok;
}

/** `overview`. */
export const overview: Command = {
  name: "overview",
  group: "evidence",
  usage: "",
  about: "Tell in a few numbers how things are on a server",
  examples: ["libos overview", "libos overview --host http://127.0.0.1:7777 -o json"],
  options: {},
  words: [0, 0],
  remote: "only",
  async run(at) {
    const found = await at.client!.get<wire.Overview>("/v1/overview");
    const { spent, spentToday, audit, oldestRequestAt } = found;
    const nowMs = realClock.now();
    const oldest = oldestRequestAt === null
      ? ""
      : `, the oldest for ${spanOf(nowMs - Date.parse(oldestRequestAt))}`;
    const today = `$${spentToday.usd.toFixed(3)}, ${amountText(spentToday.tokens)} tokens`;
    show(at, found, {
      name: at.client!.url,
      lines: [
        `${found.running} running · ${found.waiting} waiting · ${found.failed} failed`,
        `${found.requests} requests wait for you${oldest} · ${found.inDoubt} effects in doubt`,
        `spent today ${today} · in all $${spent.usd.toFixed(3)}, ${
          amountText(spent.tokens)
        } tokens`,
        `${found.eventsPerMinute} events a minute · cage ${found.tier ?? "none"} · audit ${
          audit === null ? "not checked yet" : audit.ok ? "OK" : "BROKEN"
        }`,
      ],
    });
    return EXIT.ok;
  },
};
