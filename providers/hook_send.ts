/**
 * Sending to hooks: a signed request, or a command with the event on its standard input.
 *
 * Invariants:
 *   N1. Neither takes longer than its time. A command is ended with all of its process group.
 *   N2. No redirect is followed, and no more of an answer is read than its status.
 *   N3. A command finds nothing of our environment but where programs are and how to write.
 *   N4. No sentence about a failure holds more of an address than its origin.
 * @module
 */

import { createHmac } from "node:crypto";
import { SysError } from "../kernel/errors.ts";
import { oneLine } from "./printable.ts";

/** What is sent. */
export interface Sending {
  readonly id: string;
  readonly event: string;
  readonly body: string;
  readonly nowMs: number;
  readonly timeoutMs: number;
}

const ERROR_CHARS_MAX = 300;
const REST_MS = 200;
const PASSED_ON = ["PATH", "LANG", "LC_ALL", "TZ"];

/** `t=SECONDS,v1=HEX`: HMAC-SHA256 under the secret, over the seconds, a dot and the body. */
export function signatureOf(secret: string, nowMs: number, body: string): string {
  const t = Math.floor(nowMs / 1_000);
  return `t=${t},v1=${createHmac("sha256", secret).update(`${t}.${body}`).digest("hex")}`;
}

/** Posts an event. Throws `EIO` or `ETIMEDOUT` unless the answer is 2xx. */
export async function postHook(
  url: string,
  { id, event, body, nowMs, timeoutMs }: Sending,
  secret: string | undefined,
  stopped: AbortSignal,
): Promise<void> {
  const { origin } = new URL(url);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  let status: number;
  try {
    const reply = await fetch(url, {
      method: "POST",
      body,
      redirect: "manual",
      signal: AbortSignal.any([late.signal, stopped]),
      headers: {
        "content-type": "application/json",
        "user-agent": "agent-libos",
        "libos-event": event,
        "libos-event-id": id,
        ...(secret === undefined ? {} : { "libos-signature": signatureOf(secret, nowMs, body) }),
      },
    });
    status = reply.status;
    await reply.body?.cancel();
  } catch (thrown) {
    if (late.signal.aborted) {
      const sentence = `Cannot tell ${origin}: no answer in ${timeoutMs} ms`;
      throw new SysError("ETIMEDOUT", `${sentence}, expected 2xx`);
    }
    const why = thrown instanceof Error ? thrown.name : "it failed";
    throw new SysError("EIO", `Cannot tell ${origin}: no connection (${why}), expected 2xx`);
  } finally {
    clearTimeout(timer);
  }
  if (status >= 200 && status < 300) return;
  throw new SysError("EIO", `Cannot tell ${origin}: it answered ${status}, expected 2xx`);
}

/** Runs a command on an event. Throws `EIO` or `ETIMEDOUT` unless it exits with 0. */
export async function runHook(
  command: readonly string[],
  { id, event, body, timeoutMs }: Sending,
  stopped: AbortSignal,
): Promise<void> {
  const [program = "", ...args] = command;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args,
      clearEnv: true,
      env: { ...environment(), LIBOS_EVENT: event, LIBOS_EVENT_ID: id },
      detached: Deno.build.os !== "windows",
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
    }).spawn();
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.name : "it failed";
    throw new SysError("EIO", `Cannot run hook "${program}": ${why}, expected a program`);
  }
  let isOver = false;
  const kill = (): void => {
    if (!isOver) endGroup(child);
  };
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    kill();
  }, timeoutMs);
  stopped.addEventListener("abort", kill, { once: true });
  if (stopped.aborted) kill();
  try {
    const said = lastOf(child.stderr);
    void feed(child.stdin, body);
    const { code } = await child.status;
    // Whatever it left in its group goes with it, before its number can be another's.
    endGroup(child);
    isOver = true;
    const errors = await said.end();
    if (isLate) {
      const sentence = `Cannot run hook "${program}": not over in ${timeoutMs} ms`;
      throw new SysError("ETIMEDOUT", `${sentence}, expected it to exit`);
    }
    if (code === 0) return;
    const sentence = `Cannot run hook "${program}": it exited with ${code}, expected 0`;
    throw new SysError("EIO", `${sentence}: ${errors}`);
  } finally {
    clearTimeout(timer);
    stopped.removeEventListener("abort", kill);
  }
}

async function feed(stdin: WritableStream<Uint8Array>, body: string): Promise<void> {
  try {
    const writer = stdin.getWriter();
    await writer.write(new TextEncoder().encode(`${body}\n`));
    await writer.close();
  } catch {
    // It does not read; its exit says what came of it.
  }
}

function endGroup(child: Deno.ChildProcess): void {
  try {
    if (Deno.build.os === "windows") child.kill("SIGKILL");
    else Deno.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended, and all of its group.
  }
}

/** The end of what it wrote, read while it runs; `end` waits a little for the rest, and lets go. */
function lastOf(stream: ReadableStream<Uint8Array>): { end(): Promise<string> } {
  let text = "";
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  const read = async (): Promise<void> => {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text = (text + decoder.decode(value, { stream: true })).slice(-ERROR_CHARS_MAX);
    }
  };
  const reading = read().catch(() => {});
  return {
    async end() {
      // What left its group may hold the pipe for as long as it lives.
      const timer = setTimeout(() => void reader.cancel().catch(() => {}), REST_MS);
      await reading;
      clearTimeout(timer);
      return oneLine(text.trim());
    },
  };
}

function environment(): Record<string, string> {
  return Object.fromEntries(PASSED_ON.flatMap((name) => {
    const { state } = Deno.permissions.querySync({ name: "env", variable: name });
    const value = state === "granted" ? Deno.env.get(name) : undefined;
    return value === undefined ? [] : [[name, value]];
  }));
}
