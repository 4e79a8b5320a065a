/**
 * `mcp serve`: the runtime offered to another agent as tools, over pipes or HTTP.
 *
 * Invariants:
 *   M4. Over pipes whoever is at the other end has the token that was given, or is the principal
 *       that was named; the server's own token is never taken for them.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { realClock } from "../providers/clock.ts";
import { sendHttp } from "../providers/http_client.ts";
import { privateFile } from "../providers/private_file.ts";
import { realRandom } from "../providers/random.ts";
import { createRuntime } from "../runtime/create.ts";
import { type McpServed, type Role, serveMcp, TokenBook } from "../server/mod.ts";
import { speakMcp } from "../server/mcp_stdio.ts";
import { ROLES } from "../server/principal.ts";
import type { Context, Options } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { beside, connected } from "./reach.ts";
import { packagesPath } from "./package_file.ts";
import { housed, serve } from "./serve.ts";
import { storeName } from "./store.ts";
import { imagesPath, tokensPath } from "./token.ts";
import { labelsOf } from "./words.ts";

/** What `mcp serve` takes, and the other verbs do not. */
export const MCP_SERVE_OPTIONS = {
  as: { type: "string" },
  role: { type: "string" },
  label: { type: "string", multiple: true, short: "l" },
  http: { type: "boolean" },
  port: { type: "string" },
  model: { type: "string" },
  "model-id": { type: "string" },
} as const satisfies Options;

/** Runs it, until the other end is gone or somebody interrupts. */
export async function mcpServe(at: Context): Promise<number> {
  const here = { ...at, words: at.words.slice(1) };
  if (at.flags.on("http")) {
    if (at.flags.text("as") !== undefined) {
      throw new UsageError("Cannot serve over HTTP as one principal: each request has its token");
    }
    return await serve.run(here);
  }
  const named = at.flags.text("host") ?? at.io.env("LIBOS_HOST") ?? "";
  const url = named === "" ? (await beside(at))?.url : named;
  using caller = callerOf(at, named !== "");
  return url === undefined ? await spokenHere(here, caller.token) : await spokenTo(here, {
    url,
    token: caller.token,
  });
}

interface Caller extends Disposable {
  readonly token: string;
}

/** Whose name it is served in (M4). */
function callerOf(at: Context, isElsewhere: boolean): Caller {
  const token = at.flags.text("token") ?? at.io.env("LIBOS_TOKEN") ?? "";
  const as = at.flags.text("as");
  if ((token === "") === (as === undefined)) {
    const state = token === "" ? "nobody to serve it as" : "two to serve it as";
    throw new UsageError(
      `Cannot serve MCP: ${state}, expected LIBOS_TOKEN or --as NAME --role ROLE`,
    );
  }
  if (as === undefined) return { token, [Symbol.dispose]() {} };
  if (isElsewhere) {
    throw new UsageError(`Cannot serve MCP as "${as}" of another server: expected a token of it`);
  }
  const role = at.flags.text("role");
  if (!ROLES.some((one) => one === role)) {
    throw new UsageError(`Cannot serve MCP as "${as}": expected --role ${ROLES.join(", ")}`);
  }
  const book = new TokenBook(privateFile(tokensPath(at)), realClock, realRandom);
  const labels = labelsOf(at.flags.texts("label"));
  // Should nobody be left to take it back, nobody is left either who knows it.
  const made = book.create({ name: as, role: role as Role, labels, forMs: 30 * 86_400_000 });
  return { token: made.secret, [Symbol.dispose]: () => void book.revoke(made.record.id) };
}

/** A runtime of its own: no other runs on the store. */
async function spokenHere(at: Context, token: string): Promise<number> {
  const { options, images, model } = await housed(at);
  const tokens = privateFile(tokensPath(at));
  if (new TokenBook(tokens, realClock, realRandom).check(token) === undefined) {
    throw new SysError("EACCES", "Cannot serve MCP: the token is nobody's, or out of date");
  }
  using _ = quietOutput();
  await using runtime = await createRuntime(options);
  await using served = await serveMcp(runtime, {
    as: { token },
    tokens,
    images,
    madeImages: privateFile(imagesPath(at)),
    packages: packagesPath(at),
    packageModel: model,
  });
  at.io.err(`Serving ${storeName(at)} over standard input and output\n`);
  return await untilEnded(at, served);
}

/** The runtime of a server, by a token of it. */
async function spokenTo(at: Context, there: { readonly url: string; readonly token: string }) {
  if (at.words.length > 0) {
    throw new UsageError("Cannot serve images of files: a server runs, expected them given to it");
  }
  const client = connected(there.url, there.token);
  const { name, role } = await client.whoami();
  const answer = async ({ url, method, headers, signal, body }: Request) =>
    await sendHttp(url, { method, headers, signal, body: await new Response(body).text() || null });
  await using served = await speakMcp({ origin: client.url, token: there.token, answer }, {
    version: "0.1.0",
  });
  at.io.err(`Serving ${client.url} over standard input and output as ${name} (${role})\n`);
  return await untilEnded(at, served);
}

async function untilEnded(at: Context, served: McpServed): Promise<number> {
  const off = at.io.onInterrupt(() => void served.close());
  try {
    await served.ended;
  } finally {
    off();
  }
  return EXIT.ok;
}

/** Standard output is the protocol's: what agents print goes to the errors. */
function quietOutput(): Disposable {
  const { log, info, debug, error } = console;
  Object.assign(console, { log: error, info: error, debug: error });
  return { [Symbol.dispose]: () => void Object.assign(console, { log, info, debug }) };
}
