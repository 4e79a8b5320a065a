/**
 * Claims about the server's own commands: how it stops, what it leaves behind, links, completion.
 * @module
 */

import { deepStrictEqual as equal, match, ok } from "node:assert/strict";
import { COMMANDS } from "../cli/main.ts";
import { progressing } from "../cli/progress.ts";
import type { Context } from "../cli/command.ts";
import { besideServer } from "../cli/token.ts";
import { privateFile } from "../server/mod.ts";
import { Place } from "./cli_place.ts";
import { served } from "./cli_served.ts";
import { serverPlace } from "./server_place.ts";

Deno.test("A server that is told to end by SIGTERM stops as by Ctrl-C", async () => {
  await using place = await Place.make();
  const server = place.spawn("serve", "waiter.ts", "--port", "0");
  await server.shows("Stop with Ctrl-C");
  server.kill("SIGTERM");
  const { exit, err } = await server.said();
  equal(exit, 0);
  match(err, /Stopping: what runs comes to its next wait/);
  equal((await place.read(".libos/server.json")).trim(), "");
  equal(JSON.parse(await place.read(".libos/tokens.json")).tokens, []);
});

Deno.test("The token of a server that was killed is good for nothing at the next one", async () => {
  await using place = await Place.make();
  const file = privateFile(`${place.folder}/.libos/server.json`);
  const first = place.spawn("serve", "waiter.ts", "--port", "0");
  await first.shows("Stop with Ctrl-C");
  const stale = besideServer(file)!;
  first.kill("SIGKILL");
  await first.said();
  equal((await place.libos("console")).exit, 3, "a server that does not answer is none");
  const second = place.spawn("serve", "waiter.ts", "--port", "0");
  await second.shows("Stop with Ctrl-C");
  const { url, token } = besideServer(file)!;
  equal((await place.libos("ps", "--host", url, "--token", token)).exit, 0);
  equal((await place.libos("ps", "--host", url, "--token", stale.token)).exit, 4);
  second.interrupt();
  await second.said();
});

Deno.test("console prints a link that signs a browser in, once", async () => {
  await using at = await served();
  const { out } = await at.place.libos("console", "-q");
  const open = () => fetch(out.trim(), { redirect: "manual" });
  const first = await open();
  await first.body?.cancel();
  equal(first.status, 303);
  match(first.headers.get("set-cookie") ?? "", /HttpOnly.*SameSite=Strict/);
  const again = await open();
  await again.body?.cancel();
  equal(again.status, 401);
});

Deno.test("A link opens what its token may, and no session makes another", async () => {
  await using place = await serverPlace();
  const made = await place.post("viewer", "/v1/session/link", {});
  equal(made.status, 201);
  const { url, expiresAt } = await made.json();
  ok(Date.parse(expiresAt) > 0);
  const signed = await fetch(url, { redirect: "manual" });
  await signed.body?.cancel();
  const cookie = signed.headers.get("set-cookie")!.split(";")[0]!;
  const who = await (await place.ask(null, "/v1/whoami", { headers: { cookie } })).json();
  equal([who.name, who.role], ["viewer", "viewer"]);
  const headers = { cookie, "x-libos-csrf": who.csrf };
  const refused = await place.post(null, "/v1/session/link", {}, { headers });
  equal([refused.status, (await refused.json()).code], [403, "role_too_low"]);
  const nobody = await place.post(null, "/v1/session/link", {});
  await nobody.body?.cancel();
  equal(nobody.status, 401);
});

Deno.test("Completion knows every command with its options, and bash takes it", async () => {
  await using place = await Place.make();
  const { out } = await place.libos("completion", "bash");
  for (const { name, options } of COMMANDS.values()) {
    const row = out.split("\n").find((line) => line.trim().startsWith(`${name}) `));
    ok(row !== undefined, name);
    for (const option of Object.keys(options)) ok(row.includes(`--${option}`), `${name} ${option}`);
  }
  match((await place.libos("completion", "zsh")).out, /bashcompinit/);
  match((await place.libos("completion", "fish")).out, /complete -c libos .* -a describe/);
  equal((await place.libos("completion", "tcsh")).exit, 2);
  await place.write("libos.bash", out);
  const words = `. ./libos.bash; COMP_WORDS=(libos appr); COMP_CWORD=1; _libos; ` +
    'echo "${COMPREPLY[*]}"; COMP_WORDS=(libos caps gr); COMP_CWORD=2; _libos; echo "${COMPREPLY[*]}"';
  const shell = await new Deno.Command("bash", { args: ["-c", words], cwd: place.folder }).output();
  equal(new TextDecoder().decode(shell.stdout), "approvals approve\ngrant\n");
});

Deno.test("Progress is shown on a terminal, is taken away, and is nothing when piped", async () => {
  const said = async (isProgressShown: boolean): Promise<string> => {
    let text = "";
    const io = { isProgressShown, err: (part: string) => text += part };
    const at = { io, flags: { on: () => false } } as unknown as Context;
    equal(
      await progressing(at, "Checking", (tell) => {
        tell("t_1\x1b[2J, 1 of 2");
        return Promise.resolve(7);
      }),
      7,
    );
    return text;
  };
  equal(await said(false), "");
  equal(
    await said(true),
    "\r\x1b[KChecking…\r\x1b[KChecking t_1\\u{1b}[2J, 1 of 2…\r\x1b[K",
  );
});
