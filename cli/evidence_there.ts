/**
 * Evidence and the server itself: `explain`, `policy show`, `verify`, `doctor`, `token`, `tools`,
 * `overview`.
 * @module
 */

import { printable } from "../providers/printable.ts";
import type { Client } from "../server/client.ts";
import type * as wire from "../server/client.ts";
import { ROLES } from "../server/principal.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { list, painter, show } from "./output.ts";
import { amountText } from "./process_text.ts";
import { systemOf } from "./system.ts";
import { onlyOne } from "./system_there.ts";
import { dateOf, durationOf, labelsOf, short, spanOf } from "./words.ts";
import { realClock } from "../providers/clock.ts";

/** `explain`. */
export async function explainThere(at: Context, client: Client): Promise<number> {
  const [word] = at.words as [string];
  const call = /^(p_\d+(?:\.\d+)?)#(\d+)\.(.+)$/.exec(word);
  const tree = call === null
    ? at.flags.text("tree") ?? await onlyTree(client)
    : `t_${/^p_(\d+)/.exec(word)![1]}`;
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

async function onlyTree(client: Client): Promise<string> {
  const all = await Array.fromAsync(client.all<wire.Tree>("/v1/trees", { all: true }));
  return await onlyOne("tree", "t_", () => Promise.resolve(all.map(({ tree }) => tree)));
}

/** The line of a call, as the log of its tree tells. */
async function lineOf(client: Client, tree: string, call: string): Promise<number> {
  const [pid = ""] = call.split("#");
  const query = { pid, type: "call.", full: true, limit: 500 };
  for await (const { seq, data } of client.all<wire.Event>(`/v1/trees/${tree}/events`, query)) {
    const { step, key } = data as { readonly step: number; readonly key: string };
    if (`${pid}#${step}.${key}` === call) return seq;
  }
  return 0;
}

/** `policy show`. */
export async function policyThere(at: Context, client: Client): Promise<number> {
  const [verb, word = at.flags.text("tree")] = at.words;
  if (verb !== "show") {
    throw new UsageError(`Cannot run "policy ${verb}" on a server: expected policy show`);
  }
  const tree = word === undefined
    ? await onlyTree(client)
    : /^t_/.test(word)
    ? word
    : (await systemOf(at).process(word)).tree;
  const found = await client.get<wire.Policy>(`/v1/trees/${tree}/policy`);
  const lines = found.text === "" ? [`# ${tree} has no policy`] : found.text.trimEnd().split("\n");
  show(at, found, { name: tree, lines });
  return EXIT.ok;
}

/** `verify`. */
export async function verifyThere(at: Context, client: Client): Promise<number> {
  if (at.words.length > 0) {
    throw new UsageError("Cannot verify a part of what a server has: expected no TREE and no FILE");
  }
  const found = await client.verifyAudit();
  show(at, found, {
    name: found.ok ? "ok" : "broken",
    lines: found.ok
      ? [`${found.trees} trees, ${found.lines} lines, chain OK`]
      : found.broken.map(({ tree, why }) => `${tree} BROKEN: ${why}`),
  });
  return found.ok ? EXIT.ok : EXIT.integrity;
}

/** `audit verify`: the only verb of `audit` that a server knows. */
export async function auditThere(at: Context, client: Client): Promise<number> {
  const [verb = "ls", ...rest] = at.words;
  if (verb !== "verify") {
    throw new UsageError(`Cannot run "audit ${verb}" on a server: expected audit verify`);
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
    await client.send("DELETE", `/v1/tokens/${encodeURIComponent(word)}`);
    show(at, { id: word, revoked: true }, {
      name: word,
      lines: [`${word} is good for nothing any more`],
    });
    return EXIT.ok;
  }
  throw new UsageError(`Cannot run "token ${at.words.join(" ")}": expected create, ls or revoke`);
}

async function listTokens(at: Context, client: Client): Promise<number> {
  const { items } = await client.get<{ readonly items: readonly wire.Token[] }>("/v1/tokens");
  list(at, items, {
    columns: [
      { head: "ID", of: ({ id }) => id },
      { head: "NAME", of: ({ name }) => name },
      { head: "ROLE", of: ({ role }) => role },
      { head: "CREATED", of: ({ createdAt }) => dateOf(Date.parse(createdAt)) },
      {
        head: "EXPIRES",
        of: ({ expiresAt }) => expiresAt === null ? "-" : dateOf(Date.parse(expiresAt)),
      },
    ],
    name: ({ id }) => id,
    none: "No tokens",
  });
  return EXIT.ok;
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

/** `tools ls | show | source | revoke`. */
export async function toolsThere(at: Context, client: Client): Promise<number> {
  const [verb = "ls", word] = at.words;
  const tree = word === undefined || verb !== "ls"
    ? at.flags.text("tree")
    : (await systemOf(at).process(word)).tree;
  const all = await Array.fromAsync(client.all<wire.Tool>("/v1/tools", { tree }));
  if (verb === "ls") return listTools(at, all);
  if (word === undefined || !["show", "source", "revoke"].includes(verb)) {
    throw new UsageError(
      `Cannot run "tools ${verb}" on a server: expected ls, show, source, revoke`,
    );
  }
  const named = all.findLast(({ name }) => name === word);
  const hash = named?.hash ??
    await onlyOne("tool", word, () => Promise.resolve(all.map(({ hash }) => hash)));
  if (verb === "show") return await showTool(at, client, hash);
  if (verb === "source") return await showSource(at, client, { hash, all });
  const reason = at.flags.text("message") ?? "";
  await client.send("POST", `/v1/tools/${hash}/revoke`, { body: { reason } });
  show(at, { tool: hash, reason, revoked: true }, { name: hash, lines: [`revoked ${word}`] });
  return EXIT.ok;
}

function listTools(at: Context, all: readonly wire.Tool[]): number {
  list(at, all, {
    columns: [
      { head: "NAME", of: ({ name }) => name },
      { head: "VERSION", of: ({ hash }) => hash.slice(0, 12) },
      { head: "BY", of: ({ by }) => by },
      {
        head: "STATE",
        of: ({ revoked, holders }) =>
          revoked !== null ? "revoked" : holders.length > 0 ? "registered" : "proposed",
      },
      { head: "RIGHTS", of: ({ declared }) => short(declared.join(", "), 60) || "none" },
      { head: "TREE", wide: true, of: ({ tree }) => tree },
    ],
    name: ({ hash }) => hash,
    none: "No generated tools",
  });
  return EXIT.ok;
}

async function showTool(at: Context, client: Client, hash: string): Promise<number> {
  const tool = await client.get<wire.Tool>(`/v1/tools/${hash}`);
  const seen = tool.observed.map(({ name, calls, denied }) =>
    `${name} ×${calls} (${denied} denied)`
  );
  show(at, tool, {
    name: hash,
    lines: [
      `${tool.name}  sha256:${hash}`,
      `About:     ${tool.description}`,
      `By:        ${tool.by} in ${tool.tree}, ${dateOf(Date.parse(tool.at))}`,
      `Declared:  ${tool.declared.join(", ") || "nothing"}`,
      `Observed:  ${seen.join(", ") || "no calls"}`,
      `Holders:   ${tool.holders.join(", ") || "none"}`,
      `Reviewed:  ${tool.reviewedBy === null ? "by nobody" : `by ${tool.reviewedBy}`}`,
      ...(tool.revoked === null
        ? []
        : [`Revoked:   by ${tool.revoked.by}: ${tool.revoked.reason}`]),
      `Runs:      ${tool.runs.length} shown, ${
        tool.runs.filter(({ ok }) => ok === false).length
      } failed`,
    ],
  });
  return EXIT.ok;
}

async function showSource(at: Context, client: Client, given: {
  readonly hash: string;
  readonly all: readonly wire.Tool[];
}): Promise<number> {
  const { hash, all } = given;
  const before = all.find((one) => one.hash === hash)?.versions[0];
  const isDiff = at.flags.on("diff") && before !== undefined;
  const found = await client.get<wire.ToolSource>(
    `/v1/tools/${hash}/source`,
    isDiff ? { against: before } : {},
  );
  if (at.format !== "table" && at.format !== "wide") {
    show(at, found, { name: hash, lines: [] });
    return EXIT.ok;
  }
  const paint = painter(at);
  for (const line of printable(found.diff ?? found.source).trimEnd().split("\n")) {
    const colour = line.startsWith("+") ? "green" : line.startsWith("-") ? "red" : undefined;
    at.io.out(`${isDiff && colour !== undefined ? paint(line, colour) : line}\n`);
  }
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
