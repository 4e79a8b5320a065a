/**
 * How the server is attacked in tests: bytes on a socket, tokens of some labels.
 * @module
 */

import { defineImage } from "../mod.ts";
import type { ServerPlace } from "./server_place.ts";

/** An agent that does nothing for a day. */
export const sleeper = defineImage({
  name: "sleeper",
  program: async ({ sys }) => {
    await sys.clock.sleep({ ms: 86_400_000 });
  },
});

/** What a socket answers to bytes, until it ends. */
export async function sent(at: ServerPlace, text: string): Promise<string> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: at.server.port });
  await conn.write(new TextEncoder().encode(text));
  return await new Response(conn.readable).text().catch(() => "HTTP/1.1 400 cut off");
}

/** A request as text, from an admin unless headers say otherwise. */
export function asked(at: ServerPlace, line: string, headers: Record<string, string> = {}): string {
  const all = {
    host: `127.0.0.1:${at.server.port}`,
    authorization: `Bearer ${at.secrets.admin}`,
    connection: "close",
    ...headers,
  };
  const text = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `${line} HTTP/1.1\r\n${text}\r\n`;
}

/** The status and the code of a refusal. */
export async function code(answer: Response | Promise<Response>): Promise<string> {
  const got = await answer;
  return `${got.status} ${(await got.json()).code}`;
}

/** Headers of a token that sees only what is of team a. */
export function confined(at: ServerPlace, role: "viewer" | "operator" | "admin") {
  const { secret } = at.server.tokens.create({ name: `a-${role}`, role, labels: { team: "a" } });
  return { headers: { authorization: `Bearer ${secret}` } };
}
