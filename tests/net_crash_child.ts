/**
 * A kernel whose agents have requests under way, until it is killed.
 * @module
 */

import { allow, createRuntime, defineImage, openCredentials } from "../mod.ts";
import { netOf } from "./net_place.ts";

/** What an agent asks for. */
export interface Asked {
  readonly method: "GET" | "POST";
  readonly idempotent: boolean;
  readonly origin: string;
}

/** What agents send along; the server keeps it, and nobody else. */
export const CRASH_SECRET = "crash-secret-7714";

/** Makes one request; the same in the kernel that comes after. */
export const image = defineImage({
  name: "caller",
  version: "1",
  program: async ({ sys, input }) => {
    const { method, idempotent, origin } = input as unknown as Asked;
    const url = `${origin}/${method}-${idempotent ? "keyed" : "plain"}`;
    const result = await sys.net.fetch({ url, method, idempotent, credential: "shop" })
      .then(({ status, text }) => `${status} ${text}`, ({ code }) => code);
    await sys.process.exit({ result });
  },
});

/** The net of both kernels. */
export function crashNet(origin: string): ReturnType<typeof netOf> {
  const shop = { hosts: [origin], header: "x-key", value: CRASH_SECRET };
  return netOf({}, { credentials: openCredentials({ shop }) });
}

if (import.meta.main) {
  const [store, origin] = Deno.args as [string, string];
  const net = crashNet(origin);
  const os = await createRuntime({ store, workspace: null, approvals: "queue", net });
  const grants = [allow("net.fetch", `${origin}/**`), allow("credential.use", "shop")];
  for (const [method, idempotent] of [["GET", false], ["POST", false], ["POST", true]] as const) {
    const input = { method, idempotent, origin };
    await os.spawn(image, { goal: "ask", input, grants });
  }
  await os.runUntilIdle();
}
