/**
 * Requests to a server over HTTP.
 * @module
 */

import { SysError } from "../kernel/errors.ts";

/** Sends a request. Throws `EIO` when the server is not there. */
export async function sendHttp(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, redirect: "error" });
  } catch (thrown) {
    if (init.signal?.aborted === true || !(thrown instanceof Error)) throw thrown;
    const place = URL.parse(url)?.origin ?? "the server";
    throw new SysError(
      "EIO",
      `Cannot reach "${place}": ${thrown.message}, expected libos serve there`,
    );
  }
}
