/**
 * What a person fills in, by the kind of request: an answer, what became of a doubtful effect, less
 * of a budget, other arguments.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { RequestView } from "../schema/request.ts";
import { AnswerForm, type Filled, formSchema, misfit, parsed, startOf } from "./answer_form.tsx";
import { JsonDiff } from "./preview.tsx";
import { exactJson } from "./request_text.ts";
import { visible } from "./words.ts";

/** Something that is filled in. */
export interface Reply {
  readonly value: Filled;
  readonly problem: string | null;
  readonly form: JSX.Element;
}

/** The answer to a question: text, a choice, or a form. */
export function useAnswer({ schema, choices }: RequestView): Reply {
  const wanted = schema !== null
    ? formSchema(schema)
    : choices.length > 0
    ? { enum: choices }
    : { type: "string" };
  const [value, set] = useState<Filled>(() => startOf(wanted));
  return {
    value,
    problem: misfit(wanted, value),
    form: <AnswerForm schema={wanted} value={value} set={set} />,
  };
}

interface DoubtSchema {
  readonly anyOf?: readonly [
    { readonly enum?: readonly string[] },
    { readonly properties?: { readonly happened?: Readonly<Record<string, unknown>> } },
  ];
}

const SAID: Readonly<Record<string, string>> = {
  happened: "It happened; it is not done again",
  "did not happen": "It did not happen; the agent is told so",
  retry: "Do it again",
};

/** What became of an effect: whether it happened, and what it replied. */
export function useDoubt({ schema, choices }: RequestView): Reply {
  const [said, say] = useState<string | null>(null);
  const [words, reply] = (schema as DoubtSchema | null)?.anyOf ?? [];
  const wanted = formSchema(reply?.properties?.happened ?? {});
  // Of some calls the reply says nothing: then the word is enough.
  const mustSay = words?.enum?.includes("happened") === false;
  const [value, set] = useState<Filled>(() => startOf(wanted));
  const asksReply = said === "happened" && mustSay;
  return {
    value: asksReply ? { happened: value } : said,
    problem: said === null
      ? "Say what became of it"
      : asksReply
      ? misfit(wanted, value, "What it replied")
      : null,
    form: (
      <>
        <fieldset>
          <legend>What became of it</legend>
          {choices.map((one) => (
            <label key={one} class="check">
              <input type="radio" name="doubt" checked={said === one} onChange={() => say(one)} />
              <span>
                <strong>{visible(one)}</strong> <span class="dim">{SAID[one] ?? ""}</span>
              </span>
            </label>
          ))}
        </fieldset>
        {asksReply && <AnswerForm schema={wanted} name="What it replied" value={value} set={set} />}
      </>
    ),
  };
}

/** Less than was asked for: the numbers of a budget, to be lowered. */
export function useLess({ call }: RequestView): Reply {
  const args = (call?.args ?? {}) as { readonly limits?: Readonly<Record<string, number>> };
  const limits = args.limits ?? {};
  const [texts, write] = useState<Readonly<Record<string, string>>>(() =>
    Object.fromEntries(Object.entries(limits).map(([name, value]) => [name, String(value)]))
  );
  const read = Object.entries(texts).map(([name, text]) => [name, Number(text)] as const);
  const wrong = read.find(([name, value]) =>
    !(value >= 0) || texts[name]!.trim() === "" || value > limits[name]!
  );
  const same = read.every(([name, value]) => value === limits[name]);
  return {
    value: { ...args, limits: Object.fromEntries(read) },
    problem: wrong !== undefined
      ? `${visible(wrong[0])}: expected a number, ${limits[wrong[0]]} at most`
      : same
      ? "Nothing is lowered yet"
      : null,
    form: (
      <fieldset>
        <legend>Give less</legend>
        {Object.entries(limits).map(([name, asked]) => (
          <label key={name} class="field">
            <span>
              {visible(name)} <span class="dim">asks for {asked}</span>
            </span>
            <input
              inputMode="decimal"
              value={texts[name]}
              onInput={(event) => {
                const { value } = event.currentTarget;
                write((now) => ({ ...now, [name]: value }));
              }}
            />
          </label>
        ))}
      </fieldset>
    ),
  };
}

/** Other arguments, and how they differ from those that were asked for. */
export function useOtherArgs({ call }: RequestView): Reply {
  const [text, write] = useState(() => exactJson(call?.args ?? {}));
  const value = parsed(text);
  const why = misfit({}, value, "The arguments");
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const isSame = why === null && exactJson(value) === exactJson(call?.args);
  return {
    value,
    problem: why ??
      (!isObject ? "The arguments are an object" : isSame ? "Nothing is changed yet" : null),
    form: (
      <>
        <label class="field">
          Arguments, as JSON
          <textarea
            class="mono"
            rows={Math.min(16, text.split("\n").length + 1)}
            value={text}
            spellcheck={false}
            onInput={(event) => write(event.currentTarget.value)}
          />
        </label>
        {why === null && !isSame && (
          <JsonDiff before={call?.args} after={value} label="What is changed" />
        )}
        <p class="dim">The agent is told that a person changed them, and what was done.</p>
      </>
    ),
  };
}
