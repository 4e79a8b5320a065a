/**
 * A long conversation under a small window: pinned constraints, filler, needles, and a model that
 * keeps every prompt it was given.
 * @module
 */

import type { Sys } from "../broker/client.ts";
import { totalOf } from "../kernel/context.ts";
import type { Model, ModelMessage, ModelRequest } from "../kernel/world.ts";

/** Tests count characters, so that every figure is exact. */
export const countChars = (text: string): number => text.length;

/** A model that keeps what it was asked, and answers with what `say` says. */
export class KeepingModel implements Model {
  readonly id = "test/keeping";
  readonly countTokens = countChars;
  readonly requests: ModelRequest[] = [];
  say: (request: ModelRequest) => string = () => "Noted.";

  /** The prompts, oldest first. */
  get prompts(): readonly (readonly ModelMessage[])[] {
    return this.requests.map(({ messages }) => messages);
  }

  generate(request: ModelRequest): ReturnType<Model["generate"]> {
    this.requests.push(request);
    return Promise.resolve({
      text: this.say(request),
      calls: [],
      finish: "stop",
      inputTokens: 1,
      outputTokens: 1,
    });
  }
}

/** A constraint; every second one says what is not so. */
export function constraint(n: number): { readonly kind: "constraint" | "negative"; text: string } {
  return n % 2 === 0
    ? { kind: "constraint", text: `Rule ${n}: keep shard ${n} below ${n * 7 + 3} rows.` }
    : { kind: "negative", text: `Rule ${n}: cluster ${n} is NOT reachable on port ${9_000 + n}.` };
}

const WORDS = ("table report query draft review ledger budget invoice margin column worker cache " +
  "deploy branch merge commit server client packet socket thread vector matrix sample metric")
  .split(" ");

/** Filler: the same text for the same number, and no two alike. */
export function filler(n: number, words = 60): string {
  let seed = n * 2_654_435_761 % 4_294_967_296;
  const said = Array.from({ length: words }, () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return WORDS[seed % WORDS.length]!;
  });
  return `Turn ${n}. ${said.join(" ")}.`;
}

const CITIES = ["Arlon", "Bremen", "Cadiz", "Dijon", "Evora", "Fulda", "Ghent", "Husum", "Imola"];

/** A needle, and how it is asked for. */
export function needle(n: number): { readonly text: string; ask: string; answer: string } {
  const city = `${CITIES[n % CITIES.length]}${Math.floor(n / CITIES.length) || ""}`;
  const answer = `vault-${(n * 7_919 + 104_729) % 999_983}`;
  return {
    text: `The depot code of ${city} is ${answer}.`,
    ask: `What is the depot code of ${city}?`,
    answer,
  };
}

/** What a long conversation is made of. */
export interface Talk {
  readonly turns: number;
  /** Part of the whole conversation that fits into the window. */
  readonly part: number;
  readonly pins: number;
  readonly needles: number;
  /** Whether it compacts when it is told to, by which means. */
  readonly compact: boolean;
}

/** What is seen of a conversation while it goes on. */
export interface Heard {
  readonly window: number;
  /** Tokens of all turns together. */
  readonly whole: number;
  readonly compactions: number;
  readonly manifests: readonly Record<string, unknown>[];
}

type Reply = { readonly context: { readonly compact?: number } };

/** Plays the conversation: a prompt after each turn of the user. */
export async function play(sys: Sys, model: string, talk: Talk): Promise<Heard> {
  for (let n = 0; n < talk.pins; n++) {
    const { kind, text } = constraint(n);
    await sys.object.create({ name: `rules/${n}`, type: "text", value: text, mutable: true });
    await sys.context.pin({ object: `rules/${n}`, kind });
  }
  await sys.object.create({ name: "context", type: "context", list: true });
  const turns = turnsOf(talk);
  const whole = totalOf(turns, countChars);
  const window = Math.floor(whole * talk.part);
  const manifests: Record<string, unknown>[] = [];
  let compactions = 0;
  for (const turn of turns) {
    await sys.object.append({ object: "context", item: turn as never });
    if (turn.role !== "user") continue;
    const { context } = await sys.model.generate({
      model,
      context: "context",
      window,
      tools: false,
    }) as unknown as Reply;
    manifests.push(context);
    if (context.compact === undefined || !talk.compact) continue;
    compactions += 1;
    await sys.context.compact({ context: "context", to: context.compact, window, model });
  }
  return { window, whole, compactions, manifests };
}

function turnsOf({ turns, needles }: Talk): ModelMessage[] {
  const every = Math.max(1, Math.floor(turns / 2 / Math.max(1, needles)));
  return Array.from({ length: turns }, (_, n): ModelMessage => {
    // Needles lie in the older half.
    const hidden = n < turns / 2 && n % every === 0 && n / every < needles
      ? ` ${needle(n / every).text}`
      : "";
    const text = `${filler(n)}${hidden}`;
    return n % 2 === 0 ? { role: "user", text } : { role: "assistant", text, calls: [] };
  });
}

/** A prompt as text. */
export function promptText(messages: readonly ModelMessage[]): string {
  return messages.map((message) =>
    message.role === "tool" ? JSON.stringify(message.output) : message.text
  ).join("\n");
}

/** How many messages two prompts have in common from their front on. */
export function commonFront(
  a: readonly ModelMessage[],
  b: readonly ModelMessage[],
): number {
  let same = 0;
  while (same < a.length && JSON.stringify(a[same]) === JSON.stringify(b[same])) same += 1;
  return same;
}
