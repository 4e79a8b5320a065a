/**
 * What there is to see before somebody decides: differences, sources, addresses, texts.
 * @module
 */

import type { JSX } from "preact";
import { diffLines } from "../../kernel/diff.ts";
import type { RequestView } from "../schema/request.ts";
import { Block } from "./parts.tsx";
import { addressIn, addressOf, exactJson, methodIn, textsIn } from "./request_text.ts";
import { visible } from "./words.ts";

/** Lines of a difference, each with its sign. */
export function Diff({ lines, label }: {
  readonly lines: readonly string[];
  readonly label: string;
}): JSX.Element {
  return (
    <pre class="block lines" tabIndex={0} role="region" aria-label={label}>
      {lines.map((line, i) => (
        <span key={i} class={toneOf(line)}>{`${visible(line) || " "}\n`}</span>
      ))}
    </pre>
  );
}

function toneOf(line: string): string | undefined {
  return line.startsWith("+") ? "come" : line.startsWith("-") ? "gone" : undefined;
}

/** What is different between two values, as JSON. */
export function JsonDiff({ before, after, label }: {
  readonly before: unknown;
  readonly after: unknown;
  readonly label: string;
}): JSX.Element {
  const lines = diffLines(exactJson(before), exactJson(after));
  return <Diff label={label} lines={lines.map(({ mark, text }) => `${mark} ${text}`)} />;
}

/** A source, with the numbers of its lines. */
export function Source({ text, label }: {
  readonly text: string;
  readonly label: string;
}): JSX.Element {
  return (
    <div class="block source" tabIndex={0} role="region" aria-label={label}>
      <ol>
        {text.split("\n").map((line, i) => (
          <li key={i}>
            <code>{visible(line) || " "}</code>
          </li>
        ))}
      </ol>
    </div>
  );
}

/** An address: who is spoken to stands out, and what is odd about it is said. */
export function Url({ text, method = null }: {
  readonly text: string;
  /** What is done there, where that is known: `GET`. */
  readonly method?: string | null;
}): JSX.Element {
  const address = addressOf(text);
  if (address === null) return <Block text={text} label="Address" />;
  const { scheme, user, host, port, path, warnings } = address;
  return (
    <div class="url">
      <p class="mono">
        {method !== null && <span class="badge">{visible(method)}</span>}{" "}
        <span class="dim">{visible(scheme)}://</span>
        {user !== "" && <span class="gone">{visible(user)}@</span>}
        <strong>{visible(host)}</strong>
        {visible(port)}
        <span>{visible(path)}</span>
      </p>
      {warnings.map((one) => <p key={one} class="problem">{visible(one)}</p>)}
    </div>
  );
}

const SOURCE = /^source, \d+ lines:$/;

/** A tool's review: what it may do and what changed, then its source. */
function Review({ body }: { readonly body: string }): JSX.Element {
  const lines = body.split("\n");
  // Whatever its author wrote before this line stands behind a sign or in quotes.
  const at = lines.findIndex((line) => SOURCE.test(line));
  if (at < 0) return <Diff lines={lines} label="What it may do" />;
  return (
    <>
      <h3>What it may do, and what changed</h3>
      <Diff lines={lines.slice(0, at)} label="What it may do, and what changed" />
      <h3>Source, {lines.length - at - 1} lines</h3>
      <Source text={lines.slice(at + 1).join("\n")} label="Source" />
    </>
  );
}

/** All there is to see of a request. */
export function Preview({ view }: { readonly view: RequestView }): JSX.Element | null {
  const { preview } = view;
  const address = preview?.kind === "url" ? preview.body : addressIn(view);
  const texts = textsIn(view);
  if (preview === null && address === null && texts.length === 0) return null;
  return (
    <section aria-label="Preview">
      <h2>Preview</h2>
      {address !== null && <Url text={address} method={methodIn(view)} />}
      {preview?.kind === "diff" && (
        <>
          <p class="dim">+{preview.added ?? 0} −{preview.removed ?? 0} lines</p>
          <Diff lines={preview.body.split("\n")} label="What would change" />
        </>
      )}
      {preview?.kind === "source" && <Review body={preview.body} />}
      {preview?.kind === "text" && <Block text={preview.body} label="Preview" />}
      {texts.map(([name, text]) => (
        <div key={name}>
          <h3>
            <code>{visible(name)}</code>, {text.split("\n").length} lines
          </h3>
          <Source text={text} label={`The argument ${name}, in lines`} />
        </div>
      ))}
    </section>
  );
}
