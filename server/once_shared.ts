/**
 * Idempotency keys that hold over all nodes of a database: a request is made by one node, and its
 * answer is kept where all of them find it.
 *
 * Invariants:
 *   K5. An answer may have a secret in it, so it is kept sealed under the key of the request, which
 *       is not kept: who reads the database alone reads neither.
 *   K6. Where the node that made a request is gone, nobody makes it again: who asks is told so.
 *   K7. Where the database does not answer, nothing is made.
 * @module
 */

import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import type { Context, Next } from "hono";
import { SysError } from "../kernel/errors.ts";
import { canonical } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { parseJson } from "../kernel/parse.ts";
import type { OnceAsking, Shares } from "../kernel/shares.ts";
import type { Clock } from "../kernel/world.ts";
import type { Env } from "./api.ts";
import { Refusal } from "./problem.ts";

/** How long somebody waits for the answer of another attempt, and how often it is looked for. */
const WAIT_MS = 30_000;
const LOOK_MS = 100;

/** Makes a request, or answers it with what it was answered on whichever node. */
export async function answerShared(
  c: Context<Env>,
  next: Next,
  given: {
    readonly shares: Shares;
    readonly clock: Clock;
    readonly key: string;
    readonly of: string;
  },
): Promise<void> {
  const { shares, clock, key, of } = given;
  const { token } = c.get("who");
  const secret = digest(`libos answer\n${token}\n${key}`);
  const asking: OnceAsking = {
    book: digest(`libos book\n${token}`).toString("hex"),
    key: digest(`libos name\n${secret.toString("hex")}`).toString("hex"),
    of: digest(`${secret.toString("hex")}\n${of}`).toString("hex"),
    attempt: crypto.randomUUID(),
    keepMs: LIMITS.httpKeyMsMax,
    leaseMs: LIMITS.shareLeaseMs,
    keysMax: LIMITS.httpKeysKept,
  };
  const untilMs = clock.now() + WAIT_MS;
  for (;;) {
    const state = await shares.begin(asking);
    if (state.is === "first") return await make(c, next, { shares, clock, asking, secret });
    if (state.is === "other") {
      throw new Refusal("key_reused", "Cannot use the Idempotency-Key: it was another request's");
    }
    if (state.is === "answered") {
      c.res = opened(state.answer, secret);
      c.res.headers.set("idempotent-replay", "true");
      return;
    }
    if (state.is === "lost") {
      const sentence =
        "Cannot answer the request: the node that made it is gone, and it may have " +
        "been done; look whether it was, then ask under another key";
      throw new SysError("EINDOUBT", sentence);
    }
    if (clock.now() > untilMs) {
      const sentence = "Cannot answer the request: another node still makes it";
      throw new SysError("EAGAIN", `${sentence}, expected it to be done; ask again`);
    }
    await clock.sleep(LOOK_MS, c.req.raw.signal);
  }
}

async function make(c: Context<Env>, next: Next, given: {
  readonly shares: Shares;
  readonly clock: Clock;
  readonly asking: OnceAsking;
  readonly secret: Uint8Array;
}): Promise<void> {
  const { shares, clock, asking, secret } = given;
  const over = new AbortController();
  const renewing = (async () => {
    for (;;) {
      await clock.sleep(asking.leaseMs / 3, over.signal);
      await shares.keep(asking).catch(() => {});
    }
  })().catch(() => {});
  let answer: string | null = null;
  try {
    await next();
    const isKept = c.error === undefined && c.res.status !== 429 && c.res.status < 500;
    if (isKept) answer = await sealed(c.res.clone(), secret);
  } finally {
    over.abort();
    await renewing;
    // One that cannot be kept is told to be lost, and is not made again (K6).
    const isTooLong = (answer?.length ?? 0) > LIMITS.httpAnswerBytesMax;
    if (!isTooLong) await shares.finish(asking, answer).catch(() => {});
  }
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

async function sealed(response: Response, secret: Uint8Array): Promise<string> {
  const { status, headers } = response;
  const text = canonical({ status, headers: [...headers], body: await response.text() });
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", secret, nonce);
  const parts = [nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat(parts).toString("base64");
}

function opened(answer: string, secret: Uint8Array): Response {
  const bytes = Buffer.from(answer, "base64");
  let text: string;
  try {
    const cipher = createDecipheriv("aes-256-gcm", secret, bytes.subarray(0, 12));
    cipher.setAuthTag(bytes.subarray(-16));
    text = cipher.update(bytes.subarray(12, -16)).toString("utf8") + cipher.final("utf8");
  } catch {
    const state = "what is kept is not what was answered";
    throw new SysError("EINTEGRITY", `Cannot answer the request: ${state}, expected its answer`);
  }
  const { status, headers, body } = parseJson(text) as {
    readonly status: number;
    readonly headers: [string, string][];
    readonly body: string;
  };
  const isBare = status === 204 || status === 304;
  return new Response(isBare ? null : body, { status, headers });
}
