/**
 * The console's pages: signing in by a one-time link, and the files of the page.
 * @module
 */

import type { Api, House } from "./api.ts";
import { signIn } from "./auth.ts";
import { ASSETS } from "./console_assets.ts";

const SIGN_IN = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Agent libOS</title>
<p>Nobody is signed in. Run <code>libos serve</code> or <code>libos console</code> on the machine
of the server, and open the link that it prints.</p></html>`;

/** Adds them. */
export function consoleRoutes(app: Api, house: House): void {
  app.get("/", (c) => {
    const link = c.req.query("t");
    // Who only looks where a link leads does not use it up.
    if (link !== undefined && c.req.method === "GET") {
      return signIn(c, house, link) ? c.redirect("/", 303) : c.html(SIGN_IN, 401);
    }
    return page();
  });
  for (const [path, { type, text }] of Object.entries(ASSETS)) {
    app.get(path, () => new Response(text, { headers: { "content-type": type } }));
  }
  // Pages of the console are its own business: `/p/p_3`, `/approvals`.
  for (const path of ["/p/*", "/approvals", "/approvals/*", "/view/*"]) app.get(path, page);
}

function page(): Response {
  const { type, text } = ASSETS["/index.html"]!;
  return new Response(text, { headers: { "content-type": type } });
}
