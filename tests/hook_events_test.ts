/**
 * Claims about what hooks are told: hostile names, and events of newer kernels.
 * @module
 */

import assert from "node:assert/strict";
import type { Line } from "../kernel/event.ts";
import { emptyState } from "../kernel/state.ts";
import { bodyOf, happeningOf } from "../runtime/hook_events.ts";

Deno.test("What an agent names cannot leave its field", () => {
  const state = { ...emptyState("t_1"), nonce: "n" };
  const hostile = 'a"}\r\nlibos-event: x\u202e\u0000<!channel>' + "z".repeat(10_000);
  const data = { id: "req_1.1", pid: "p_1", kind: "permission", risk: "low" };
  const line = { tree: "t_1", seq: 4, atMs: 1, type: "human.asked", data, prev: "" };
  const request = { call: { right: "file.write", resource: hostile } };
  const happening = happeningOf(line as unknown as Line, state)!;
  const seen = { ...state, requests: { "req_1.1": request } } as unknown as typeof state;
  const text = bodyOf(happening, seen, null);
  assert(text.length < 2_000);
  assert.equal(/[\p{Cc}\p{Cf}]/u.test(text), false);
  const { resource } = JSON.parse(text).request;
  assert.equal(/[\p{Cc}\p{Cf}]/u.test(resource), false);
  assert(resource.startsWith('a"}'));
});

Deno.test("A resource that is the arguments of a call is not sent", () => {
  const state = { ...emptyState("t_1"), nonce: "n" };
  const data = { id: "req_1.1", pid: "p_1", kind: "permission", risk: "low" };
  const line = { tree: "t_1", seq: 4, atMs: 1, type: "human.asked", data, prev: "" };
  const happening = happeningOf(line as unknown as Line, state)!;
  const told = (resource: string): unknown => {
    const request = { call: { right: "mcp.mail.send", resource } };
    const seen = { ...state, requests: { "req_1.1": request } } as unknown as typeof state;
    return JSON.parse(bodyOf(happening, seen, null)).request.resource;
  };
  assert.equal(told('{"text":"the pay is 4711","to":"eve"}'), null);
  assert.equal(told("./docs/note.txt"), "./docs/note.txt");
});

Deno.test("What escalated is told with the request that did", () => {
  const request = { pid: "p_1", kind: "question", risk: "low", call: null };
  const state = {
    ...emptyState("t_1"),
    requests: { "req_1.1": request },
  } as unknown as ReturnType<typeof emptyState>;
  const data = { id: "req_1.1" };
  const line = { tree: "t_1", seq: 5, atMs: 1, type: "human.escalated", data, prev: "" };
  const happening = happeningOf(line as unknown as Line, state)!;
  const body = JSON.parse(bodyOf(happening, state, null));
  assert.deepEqual([body.event, body.process, body.request.id, body.request.kind], [
    "request.escalated",
    "p_1",
    "req_1.1",
    "question",
  ]);
});
