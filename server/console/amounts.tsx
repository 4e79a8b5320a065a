/**
 * Amounts of what is spent: their names, and fields to set limits of them.
 * @module
 */

import type { JSX } from "preact";
import { TextField } from "./forms.tsx";
import { countOf, moneyOf, spanOf } from "./words.ts";

/** Kinds that have limits, with their names. */
export const AMOUNTS = [
  ["tokens", "Tokens"],
  ["usd", "US dollars"],
  ["modelCalls", "Model calls"],
  ["toolCalls", "Tool calls"],
  ["children", "Children"],
  ["bytes", "Bytes of objects"],
] as const satisfies readonly (readonly [string, string])[];

/** An amount as people read it. */
export function amountOf(kind: string, value: number): string {
  if (kind === "usd") return moneyOf(value);
  return kind.endsWith("Ms") ? spanOf(value) : countOf(value);
}

/** The name of a kind. */
export function nameOf(kind: string): string {
  if (kind === "wallMs") return "Time";
  if (kind === "depth") return "Depth";
  return AMOUNTS.find(([key]) => key === kind)?.[1] ?? kind;
}

/** Fields for amounts; an empty one says nothing. */
export function Amounts({ kinds, values, set, sample = "as it was" }: {
  readonly kinds: readonly (readonly [kind: string, name: string])[];
  readonly values: Readonly<Record<string, string>>;
  readonly set: (values: Readonly<Record<string, string>>) => void;
  readonly sample?: string;
}): JSX.Element {
  return (
    <div class="filters">
      {kinds.map(([kind, name]) => (
        <TextField
          key={kind}
          name={name}
          isNumber
          sample={sample}
          value={values[kind] ?? ""}
          set={(value) => set({ ...values, [kind]: value })}
        />
      ))}
    </div>
  );
}

/** The amounts that were typed. Throws where one is no number. */
export function amountsOf(values: Readonly<Record<string, string>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).filter(([, text]) => text.trim() !== "").map(([kind, text]) => {
      const value = Number(text);
      if (!Number.isFinite(value) || value < 0) {
        throw new Error(`Cannot set ${nameOf(kind)} to "${text}": expected a number`);
      }
      return [kind, value];
    }),
  );
}
