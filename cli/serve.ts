/**
 * `serve`: the runtime with its HTTP API and console, until it is interrupted.
 * @module
 */

import { resolve } from "node:path";
import { parseJson } from "../kernel/parse.ts";
import { privateFile } from "../providers/private_file.ts";
import type { AgentImage } from "../runtime/image.ts";
import { openNet } from "../providers/net.ts";
import type { RuntimeOptions, SpawnOptions } from "../runtime/runtime_options.ts";
import { createRuntime } from "../runtime/create.ts";
import { serve as serveRuntime, type Served } from "../server/mod.ts";
import { auditOptionsOf } from "./audit_parts.ts";
import type { Command, Context } from "./command.ts";
import { findingsOf } from "./doctor.ts";
import { CREDENTIAL_OPTIONS, credentialsFor, warnOfCredentials } from "./credential_place.ts";
import { EXIT, UsageError } from "./exit.ts";
import { isFile, readText } from "./files.ts";
import { HOOK_OPTIONS, hooksFor } from "./hooks.ts";
import { GATE_OPTION, gateFor } from "./gate_words.ts";
import { modelOf, startableOf } from "./image_file.ts";
import { operatorOf } from "./order.ts";
import { imagesHere, packagesPath } from "./package_file.ts";
import { NODE_OPTIONS, nodeFor } from "./nodes.ts";
import { replicaFor, storeName, storeOf, workspaceOf } from "./store.ts";
import { encryptionFor } from "./store_key.ts";
import { POLICY_FILE, reservedFor } from "./reserved.ts";
import { imagesPath, serverFile, tokensPath } from "./token.ts";
import { mcpFor } from "./mcp_lock_file.ts";
import { PRICES_OPTION, pricesFor } from "./prices.ts";
import { SKILLS_OPTION, skillsFor } from "./skills.ts";
import { telemetryFor } from "./telemetry.ts";
import { jitOptions } from "./tool_file.ts";
import { portOf } from "./words.ts";

const PORT_DEFAULT = 7777;

/** `serve`. */
export const serve: Command = {
  name: "serve",
  group: "start",
  usage: "[IMAGE_FILE…] [--listen HOST] [--port N] [--cert FILE --key FILE] [--hook URL]",
  about: "Run the agents of the store, with the HTTP API and the console",
  examples: ["libos serve", "libos serve ./reporter.ts --port 0"],
  options: {
    listen: { type: "string" },
    port: { type: "string" },
    cert: { type: "string" },
    key: { type: "string" },
    insecure: { type: "boolean" },
    "behind-tls": { type: "boolean" },
    "self-approval": { type: "boolean" },
    "host-name": { type: "string", multiple: true },
    model: { type: "string" },
    "model-id": { type: "string" },
    ...GATE_OPTION,
    ...CREDENTIAL_OPTIONS,
    ...PRICES_OPTION,
    ...SKILLS_OPTION,
    jit: { type: "boolean" },
    isolation: { type: "string" },
    review: { type: "string" },
    ...HOOK_OPTIONS,
    ...NODE_OPTIONS,
    "read-db": { type: "string" },
  },
  words: [0, 32],
  async run(at) {
    const { options, images, model, starts } = await housed(at);
    const tls = await tlsOf(at);
    await using runtime = await createRuntime(options);
    await using server = serveRuntime(runtime, {
      hostname: at.flags.text("listen") ?? "127.0.0.1",
      port: portOf(at.flags.text("port") ?? String(PORT_DEFAULT)),
      insecure: at.flags.on("insecure"),
      behindTls: at.flags.on("behind-tls"),
      hostNames: at.flags.texts("host-name"),
      tokens: privateFile(tokensPath(at)),
      images,
      starts,
      madeImages: privateFile(imagesPath(at)),
      packages: packagesPath(at),
      packageModel: model,
      selfApproval: at.flags.on("self-approval"),
      doctor: () => findingsOf(at),
      ...(tls === undefined ? {} : { tls }),
    });
    return await serving(at, server);
  },
};

/** The runtime of a store whose agents others start, and the images that they may. */
export async function housed(
  at: Context,
): Promise<{
  readonly options: RuntimeOptions;
  readonly images: readonly AgentImage[];
  /** The model that was named, for images of packages. */
  readonly model: string | undefined;
  /** How the files of images say to start them. */
  readonly starts: Readonly<Record<string, Partial<SpawnOptions>>>;
}> {
  const startables = await Promise.all(at.words.map((word) => startableOf(at, word)));
  const images = startables.flatMap(({ image, spawn }) => [image, ...spawn.images ?? []]);
  const model = modelOf(at);
  warnOfCredentials(at);
  const policy = at.flags.text("policy") ??
    (await isFile(at, POLICY_FILE) ? POLICY_FILE : undefined);
  const options: RuntimeOptions = {
    store: storeOf(at),
    ...replicaFor(at),
    ...encryptionFor(at),
    ...nodeFor(at),
    ...reservedFor(at),
    workspace: workspaceOf(at),
    images: [...await imagesHere(at), ...images],
    models: model === undefined ? [] : [model],
    ...gateFor(at),
    ...await pricesFor(at),
    ...skillsFor(at),
    approvals: "queue",
    operator: operatorOf(at),
    jit: jitOptions(at),
    shell: true,
    net: openNet(credentialsFor(at)),
    programs: true,
    ...await auditOptionsOf(at),
    ...telemetryFor(at),
    ...await mcpFor(at),
    ...await hooksFor(at),
    ...(policy === undefined ? {} : { policyFile: resolve(at.io.cwd, policy) }),
  };
  const starts = Object.fromEntries(startables.map(({ image, spawn }) => [image.ref, spawn]));
  return { options, images: distinct(images), model: model?.id, starts };
}

/** Tells where it is, and waits to be interrupted. */
async function serving(at: Context, server: Served): Promise<number> {
  // Before anything is told: who reads that it runs may ask it to stop at once.
  const stop = Promise.withResolvers<void>();
  const off = at.io.onInterrupt(() => stop.resolve());
  // Another principal than who starts agents at the terminal: those may be approved here.
  const name = `${operatorOf(at).replaceAll(/[^\w.@-]/g, "_").slice(0, 56)}@console`;
  // One that dies with the server: what is told here opens this server only.
  const beside = serverFile(at);
  revokeLast(server, beside.read());
  const own = server.tokens.create({ name, role: "admin", forMs: 30 * 86_400_000 });
  const text = JSON.stringify({ url: server.url, token: own.secret });
  beside.update(() => `${text}\n`);
  try {
    tellWhere(at, server.url, server.link(own.record.id));
    await stop.promise;
  } finally {
    off();
    beside.update((now) => now?.trim() === text ? "" : now ?? "");
    server.tokens.revoke(own.record.id);
  }
  at.io.err("Stopping: what runs comes to its next wait\n");
  return EXIT.ok;
}

function tellWhere(at: Context, url: string, link: string): void {
  if (at.format === "json" || at.format === "jsonl") {
    at.io.out(`${JSON.stringify({ url, console: link })}\n`);
    return;
  }
  at.io.out(`Serving ${storeName(at)} at ${url}\n`);
  at.io.out(`Console (opens once, in the next 5 minutes): ${link}\n`);
  at.io.out(`MCP for other agents: ${url}/mcp, with a token of libos token create\n`);
  at.io.out("Stop with Ctrl-C; agents go on at the next start.\n");
}

/** A server that was killed left its token behind; the store is ours now, so it runs no more. */
function revokeLast(server: Served, text: string | null): void {
  if (text === null || text.trim() === "") return;
  let secret: unknown;
  try {
    ({ token: secret } = parseJson(text) as { readonly token: string });
  } catch {
    return;
  }
  const last = typeof secret === "string" ? server.tokens.check(secret) : undefined;
  if (last !== undefined) server.tokens.revoke(last.token);
}

async function tlsOf(at: Context): Promise<{ cert: string; key: string } | undefined> {
  const [cert, key] = [at.flags.text("cert"), at.flags.text("key")];
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new UsageError("Cannot speak TLS: expected both --cert and --key");
  }
  return { cert: await readText(at, cert), key: await readText(at, key) };
}

function distinct(images: readonly AgentImage[]): AgentImage[] {
  return [...new Map(images.map((one) => [one.ref, one])).values()];
}
