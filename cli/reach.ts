/**
 * Whether a command works on the store here or speaks to a server: the one place where that is
 * decided.
 *
 * What is said is taken in this order: `--context`, `--host`, `--db` (the store here),
 * `LIBOS_HOST`, the context that was named by `libos context use`.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { sendHttp } from "../providers/http_client.ts";
import { type Client, connect } from "../server/client.ts";
import type { Command, Context } from "./command.ts";
import { contextNamed, LOCAL, readContexts } from "./context_file.ts";
import { UsageError } from "./exit.ts";
import { besideServer, serverFile } from "./token.ts";

const PATIENCE_MS = 2_000;

/** Runs a command where it is to be run. */
export async function runWhere(command: Command, at: Context): Promise<number> {
  const { remote } = command;
  command.refuse?.(at.words);
  if (remote === "none") return await command.run(at);
  const client = chosen(at) ?? (remote === "only" || remote === "prefer" ? await beside(at) : null);
  if (client === null) {
    if (remote !== "only") return await runHere(command, at);
    const expected = "expected libos serve on it, or --host URL";
    throw new SysError(
      "ENOENT",
      `Cannot run "${command.name}": no server on this store, ${expected}`,
    );
  }
  if (remote === undefined) {
    const why = "it works on a store of this machine";
    const expected = `expected no --host; --context ${LOCAL} is the store here`;
    throw new UsageError(`Cannot run "${command.name}" on ${client.url}: ${why}, ${expected}`);
  }
  const there = { ...at, client };
  return typeof remote === "function" ? await remote(there, client) : await command.run(there);
}

async function runHere(command: Command, at: Context): Promise<number> {
  try {
    return await command.run(at);
  } catch (thrown) {
    throw await ownedElsewhere(at, `run "${command.name}"`, thrown);
  }
}

/**
 * What was thrown; where it is that another kernel has the store, who that is and what to do.
 * `what` is the job, as in `Cannot ⟨what⟩`.
 */
export async function ownedElsewhere(
  at: Context,
  what: string,
  thrown: unknown,
): Promise<unknown> {
  if (!(thrown instanceof SysError) || thrown.code !== "EFENCED") return thrown;
  const owner = /: another kernel runs on it \((.+?)\), /.exec(thrown.message)?.[1];
  if (owner === undefined) return thrown;
  const server = await beside(at);
  const { name, remote, isHereOnly } = at.command;
  const number = /^pid (\d+)/.exec(owner)?.[1];
  const how = number === undefined ? "" : `, or kill ${number}`;
  const stop = `stop ${server === null ? "it" : "the server"} first (Ctrl-C where it runs${how})`;
  const isThere = remote !== undefined && remote !== "none" && isHereOnly?.(at.words) !== true;
  const ways = server === null
    ? [stop, ...isThere ? ["run it as libos serve and say --host URL"] : []]
    : isThere
    ? [`it serves: say --host ${server.url}`]
    : [stop, ...name === "run" ? ["start an agent there with libos spawn"] : []];
  const sentence = `Cannot ${what}: a kernel runs on the store (${owner}), expected none`;
  return new SysError("EFENCED", `${sentence}; ${ways.join(", or ")}`);
}

/** The server that was named; null for the store here. */
function chosen(at: Context): Client | null {
  const named = at.flags.text("context");
  if (named === LOCAL) return null;
  if (named !== undefined) return contextClient(at, named);
  const host = at.flags.text("host") ??
    (at.flags.text("db") === undefined ? at.io.env("LIBOS_HOST") : undefined);
  if (host !== undefined && host !== "") return connected(host, tokenFor(at, host));
  if (at.flags.text("db") !== undefined) return null;
  const { current } = readContexts(at);
  return current === LOCAL ? null : contextClient(at, current);
}

function contextClient(at: Context, name: string): Client {
  const { url, token } = contextNamed(readContexts(at), name);
  return connected(url, at.flags.text("token") ?? token);
}

/** The token for an address: given, of a context with the same address, or of the server here. */
function tokenFor(at: Context, host: string): string {
  const given = at.flags.text("token") ?? at.io.env("LIBOS_TOKEN");
  if (given !== undefined && given !== "") return given;
  const origin = URL.parse(host)?.origin;
  const kept = Object.values(readContexts(at).contexts).find(({ url }) => url === origin);
  const own = besideServer(serverFile(at));
  const token = kept?.token ?? (own?.url === origin ? own?.token : undefined);
  if (token !== undefined) return token;
  throw new UsageError(`Cannot speak to ${host}: no token, expected --token or LIBOS_TOKEN`);
}

/** A client; what is wrong with its address was called wrongly. */
export function connected(url: string, token: string): Client {
  try {
    return connect(url, { token });
  } catch (thrown) {
    if (thrown instanceof SysError) throw new UsageError(thrown.message);
    throw thrown;
  }
}

/** The server that says it runs on this store, if it answers. */
export async function beside(at: Context): Promise<Client | null> {
  const found = besideServer(serverFile(at));
  if (found === null) return null;
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const answer = await sendHttp(`${found.url}/v1/health`, { signal });
    await answer.body?.cancel();
    return answer.ok ? connect(found.url, { token: found.token }) : null;
  } catch {
    return null;
  }
}
