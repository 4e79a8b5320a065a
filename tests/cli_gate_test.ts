/**
 * Gates at the command line: before the models of `run`, and as `gate`, a proxy.
 * @module
 */

import { deepStrictEqual as equal, match } from "node:assert/strict";
import { Place } from "./cli_place.ts";
import { fakeOpenAi, refuses, says } from "./fake_openai_server.ts";

const asking = (url: string) => ["run", "agent", "Say it", "--model", url, "--model-id", "m"];

Deno.test("run waits for an endpoint that says when to come again, also in vain more than four times", async () => {
  const later = refuses(429, { headers: { "retry-after-ms": "1" } });
  await using server = fakeOpenAi([...Array.from({ length: 6 }, () => later), says("It")]);
  await using place = await Place.make();
  const { exit, out } = await place.libos(...asking(server.url), "-q");
  equal([exit, out], [0, "It\n"]);
  equal(server.requests.length, 7);
});

Deno.test("run without a gate gives an endpoint four tries", async () => {
  const later = refuses(429, { headers: { "retry-after-ms": "1" } });
  await using server = fakeOpenAi(Array.from({ length: 9 }, () => later));
  await using place = await Place.make();
  const { exit } = await place.libos(...asking(server.url), "--gate", "off");
  equal([exit, server.requests.length], [1, 4]);
});

const WRONG: readonly (readonly [string, RegExp])[] = [
  ["rpm=0", /requestsPerMinute is 0, expected 1 to/],
  ["rpm=many", /"rpm=many" is no amount, expected rpm=N/],
  ["speed=3", /"speed=3" is unknown, expected one of rpm, tpm/],
  ["off", /it is "off" and set/],
];

Deno.test("A gate that cannot be set is refused before anything is opened", async () => {
  await using place = await Place.make();
  for (const [word, expected] of WRONG) {
    const { exit, err } = await place.libos(
      ...asking("http://127.0.0.1:9/v1"),
      ...["--gate", word, "--gate", "tries=2"],
    );
    equal(exit, 2);
    match(err, expected);
  }
});

Deno.test("gate stands before an endpoint until it is interrupted", async () => {
  await using server = fakeOpenAi([
    refuses(429, { headers: { "retry-after-ms": "1" } }),
    says("Hello"),
  ]);
  await using place = await Place.make();
  const running = place.start("gate", "rpm=50", "--upstream", server.url, "-o", "json");
  await running.shows("\n");
  const { url, state } = JSON.parse(running.out());
  const body = JSON.stringify({ model: "m", messages: [{ role: "user", content: "Hi" }] });
  const response = await fetch(`${url}/chat/completions`, { method: "POST", body });
  equal((await response.json()).choices[0].message.content, "Hello");
  const { counts, requests } = await (await fetch(state)).json();
  equal([counts.passed, counts.limited, requests.limit], [1, 1, 50]);
  running.interrupt();
  equal((await running.said).exit, 0);
});

Deno.test("gate without an upstream, or with one that is no address, is refused", async () => {
  await using place = await Place.make();
  for (const words of [["gate"], ["gate", "--upstream", "not-an-address"]]) {
    const { exit, err } = await place.libos(...words);
    equal(exit, 2);
    match(err, /expected --upstream URL|expected one like https:\/\/host\/v1/);
  }
});
