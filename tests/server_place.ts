/**
 * A server over a runtime in memory, for tests of the API: real sockets, tokens of every role.
 * @module
 */

import { createRuntime, type Runtime, type RuntimeOptions } from "../mod.ts";
import type { Role } from "../server/principal.ts";
import { serve, type Served, type ServeOptions } from "../server/mod.ts";

/** A server and how to speak to it. */
export interface ServerPlace extends AsyncDisposable {
  readonly runtime: Runtime;
  readonly server: Served;
  /** Secrets by role; each token is named after its role. */
  readonly secrets: Readonly<Record<Role, string>>;
  /** Asks as a role; null for nobody. */
  ask(role: Role | null, path: string, init?: RequestInit): Promise<Response>;
  /** Asks with a JSON body. */
  post(role: Role | null, path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

/** Opens one. */
export async function serverPlace(
  given: { readonly runtime?: RuntimeOptions; readonly serve?: ServeOptions } = {},
): Promise<ServerPlace> {
  const runtime = await createRuntime({
    store: ":memory:",
    workspace: null,
    approvals: "queue",
    ...given.runtime,
  });
  const server = serve(runtime, given.serve);
  const secret = (role: Role): string => server.tokens.create({ name: role, role }).secret;
  const secrets = {
    viewer: secret("viewer"),
    approver: secret("approver"),
    operator: secret("operator"),
    admin: secret("admin"),
  };
  const ask: ServerPlace["ask"] = async (role, path, init = {}) =>
    await fetch(`${server.url}${path}`, {
      ...init,
      headers: {
        ...role === null ? {} : { authorization: `Bearer ${secrets[role]}` },
        ...init.headers as Record<string, string>,
      },
    });
  return {
    runtime,
    server,
    secrets,
    ask,
    post: (role, path, body, init = {}) =>
      ask(role, path, {
        method: "POST",
        ...init,
        body: JSON.stringify(body),
        headers: { "content-type": "application/json", ...init.headers as Record<string, string> },
      }),
    async [Symbol.asyncDispose]() {
      await server.close();
      await runtime.close();
    },
  };
}
