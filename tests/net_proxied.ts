/**
 * Asks the address it was given, whatever proxies its environment names, and writes the answer.
 * @module
 */

import { fetching, netOf } from "./net_place.ts";

const url = Deno.args[0]!;
const text = await fetching(
  netOf(),
  [`net.fetch(${url}/**)`],
  async ({ sys }) => (await sys.net.fetch({ url })).text,
);
Deno.stdout.writeSync(new TextEncoder().encode(String(text)));
