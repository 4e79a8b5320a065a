/**
 * Labels: how secret what was seen is, who vouches for it, and where it came from, in words.
 * @module
 */

import type { JSX } from "preact";
import type { ProcessView } from "../schema/process.ts";
import { Badge } from "./lists.tsx";
import { Claimed } from "./parts.tsx";
import { visible } from "./words.ts";

type Seen = ProcessView["label"];

/** What each word says. */
const MEANS: Readonly<Record<string, string>> = {
  public: "anybody may know it",
  internal: "it is for the house",
  confidential: "it does harm when it gets out",
  secret: "it does great harm when it gets out",
  trusted: "it is as good as the system's own word",
  user: "a person vouches for it",
  untrusted: "nobody vouches for it: what it says may be meant to mislead",
};

/** A label in short. */
export function Label({ label }: { readonly label: Seen }): JSX.Element {
  const { sensitivity, trust, origin = [] } = label;
  return (
    <>
      <Badge tone={sensitivity === "secret" ? "deny" : "calm"}>{visible(sensitivity)}</Badge>{" "}
      <Badge tone={trust === "untrusted" ? "ask" : "calm"}>{visible(trust)}</Badge>{" "}
      {origin.length > 0 && <Claimed text={`from ${origin.join(", ")}`} max={100} />}
    </>
  );
}

/** A label, with what its words mean on demand. */
export function LabelInWords({ label }: { readonly label: Seen }): JSX.Element {
  const { sensitivity, trust, origin = [] } = label;
  return (
    <details class="label">
      <summary>
        <Label label={{ sensitivity, trust }} /> <span class="dim">what it means</span>
      </summary>
      <ul>
        <li>{visible(sensitivity)}: {MEANS[sensitivity] ?? "a word of its own"}.</li>
        <li>{visible(trust)}: {MEANS[trust] ?? "a word of its own"}.</li>
        <li>
          {origin.length === 0
            ? "Where it came from is not known."
            : <Claimed text={`It came from ${origin.join(", ")}.`} />}
        </li>
        <li>
          What it reads joins into this: as secret as the most secret, as trusted as the least. It
          goes with all that it writes and sends, and a <code>sink</code>{" "}
          of the policy refuses a call that would carry it too far.
        </li>
      </ul>
    </details>
  );
}
