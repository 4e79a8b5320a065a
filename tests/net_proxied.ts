/**
 * Asks the address it was given, whatever proxies its environment names, and writes the answer.
 *
 * Arguments: the address, and the proxy. Deno itself may ask its own servers at its start: the
 * names are set after it.
 * @module
 */

import { fetching, netOf } from "./net_place.ts";

const PROXIES = [
  "HTTP_PROXY",
  "http_proxy",
  "HTTPS_PROXY",
  "https_proxy",
  "ALL_PROXY",
  "all_proxy",
];

const [url = "", proxy = ""] = Deno.args;
for (const name of PROXIES) Deno.env.set(name, proxy);
Deno.env.delete("NO_PROXY");
const text = await fetching(
  netOf(),
  [`net.fetch(${url}/**)`],
  async ({ sys }) => (await sys.net.fetch({ url })).text,
);
Deno.stdout.writeSync(new TextEncoder().encode(String(text)));
