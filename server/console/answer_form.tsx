/**
 * A form made from a JSON Schema, and what was filled in.
 *
 * What a schema says beyond the usual is written as JSON; the server judges every answer.
 * @module
 */

import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { visible } from "./words.ts";

/** JSON as a person fills it in; undefined as long as they have not. */
export type Filled = unknown;

interface Schema {
  readonly type?: unknown;
  readonly title?: unknown;
  readonly description?: unknown;
  readonly enum?: unknown;
  readonly default?: unknown;
  readonly properties?: unknown;
  readonly required?: unknown;
  readonly items?: unknown;
  readonly minLength?: unknown;
  readonly maxLength?: unknown;
  readonly minimum?: unknown;
  readonly maximum?: unknown;
}

type Kind = "text" | "number" | "yes" | "enum" | "list" | "object" | "json";

const RADIOS_MAX = 6;

/** What a schema is filled in with. */
function kindOf(schema: Schema): Kind {
  if (Array.isArray(schema.enum)) {
    return schema.enum.every((one) => typeof one !== "object" || one === null) ? "enum" : "json";
  }
  switch (schema.type) {
    case "string":
      return "text";
    case "number":
    case "integer":
      return "number";
    case "boolean":
      return "yes";
    case "array":
      return (schema.items as Schema | undefined)?.type === "string" ? "list" : "json";
    case "object":
      return isPlain(schema.properties) && Object.keys(schema.properties).length > 0
        ? "object"
        : "json";
    default:
      return "json";
  }
}

function isPlain(value: unknown): value is Readonly<Record<string, Schema>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What stands in a form before anybody writes. */
export function startOf(schema: Schema): Filled {
  if (schema.default !== undefined) return schema.default;
  const kind = kindOf(schema);
  if (kind === "yes") return false;
  if (kind !== "object") return undefined;
  const fields = Object.entries(schema.properties as Record<string, Schema>)
    .map(([name, of]) => [name, startOf(of)] as const)
    .filter(([, value]) => value !== undefined);
  return Object.fromEntries(fields);
}

/** Text of a field that is not what its schema wants yet. */
export class Unread {
  readonly text: string;
  readonly why: string;

  constructor(text: string, why: string) {
    this.text = text;
    this.why = why;
  }
}

/** Why what was filled in cannot be sent, as a sentence; null where it can. */
export function misfit(schema: Schema, value: Filled, name = "The answer"): string | null {
  if (value instanceof Unread) return `${name}: ${value.why}`;
  if (value === undefined) return `${name} is missing`;
  if (kindOf(schema) !== "object" || !isPlain(value)) return null;
  const required = Array.isArray(schema.required) ? schema.required as string[] : [];
  for (const [field, of] of Object.entries(schema.properties as Record<string, Schema>)) {
    const held: Filled = (value as Record<string, Filled>)[field];
    if (held === undefined && !required.includes(field)) continue;
    const why = misfit(of, held, nameOf(of, field));
    if (why !== null) return why;
  }
  return null;
}

function nameOf(schema: Schema, field: string): string {
  return visible(typeof schema.title === "string" ? schema.title : field);
}

/** Changes what was filled in, whatever else was changed since it was shown. */
type Change = (change: (before: Filled) => Filled) => void;

interface FieldProps {
  readonly schema: Schema;
  readonly name: string;
  readonly isRequired: boolean;
  readonly value: Filled;
  readonly set: Change;
}

/** The form. */
export function AnswerForm({ schema, name = "Answer", value, set }: {
  readonly schema: Schema;
  readonly name?: string;
  readonly value: Filled;
  readonly set: Change;
}): JSX.Element {
  return <Field schema={schema} name={name} isRequired value={value} set={set} />;
}

function Field(props: FieldProps): JSX.Element {
  const { schema, name, isRequired } = props;
  const kind = kindOf(schema);
  const label = nameOf(schema, name);
  const note = typeof schema.description === "string" ? schema.description : "";
  if (kind === "object") return <Fields {...props} label={label} note={note} />;
  if (kind === "enum" && (schema.enum as unknown[]).length <= RADIOS_MAX) {
    return <Choice {...props} label={label} />;
  }
  return (
    <label class={kind === "yes" ? "check" : "field"}>
      <span>
        {label} {!isRequired && kind !== "yes" && <span class="dim">(optional)</span>}
        {note !== "" && <span class="dim">{visible(note)}</span>}
      </span>
      <Input {...props} kind={kind} />
      {props.value instanceof Unread && <span class="problem">{props.value.why}</span>}
    </label>
  );
}

function Fields(
  { schema, value, set, label, note }: FieldProps & {
    readonly label: string;
    readonly note: string;
  },
): JSX.Element {
  const held = (isPlain(value) ? value : {}) as Record<string, Filled>;
  const required = Array.isArray(schema.required) ? schema.required as string[] : [];
  return (
    <fieldset>
      <legend>{label}</legend>
      {note !== "" && <p class="dim">{visible(note)}</p>}
      {Object.entries(schema.properties as Record<string, Schema>).map(([field, of]) => (
        <Field
          key={field}
          schema={of}
          name={field}
          isRequired={required.includes(field)}
          value={held[field]}
          set={(change) =>
            set((before) => {
              const now = (isPlain(before) ? before : {}) as Record<string, Filled>;
              const { [field]: was, ...others } = now;
              const next = change(was);
              return next === undefined ? others : { ...others, [field]: next };
            })}
        />
      ))}
    </fieldset>
  );
}

function Choice(
  { schema, value, set, label }: FieldProps & { readonly label: string },
): JSX.Element {
  const group = useId();
  return (
    <fieldset>
      <legend>{label}</legend>
      {(schema.enum as unknown[]).map((one) => (
        <label key={JSON.stringify(one)} class="check">
          <input
            type="radio"
            name={group}
            checked={value === one}
            onChange={() => set(() => one)}
          />
          <span class="claimed">
            {visible(typeof one === "string" ? one : JSON.stringify(one))}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

function Input({ schema, value, set, kind }: FieldProps & { readonly kind: Kind }): JSX.Element {
  switch (kind) {
    case "yes":
      return (
        <input
          type="checkbox"
          checked={value === true}
          onChange={(event) => {
            const { checked } = event.currentTarget;
            set(() => checked);
          }}
        />
      );
    case "enum":
      return <Select schema={schema} value={value} set={set} />;
    case "text":
    case "list":
    case "number":
    case "json":
    case "object":
      return <Words schema={schema} value={value} set={set} kind={kind} />;
  }
}

function Select({ schema, value, set }: Pick<FieldProps, "schema" | "value" | "set">): JSX.Element {
  const all = schema.enum as unknown[];
  return (
    <select
      value={String(all.indexOf(value))}
      onChange={(event) => {
        const one = all[Number(event.currentTarget.value)];
        set(() => one);
      }}
    >
      <option value="-1">–</option>
      {all.map((one, i) => <option key={i} value={String(i)}>{visible(String(one))}</option>)}
    </select>
  );
}

function Words(
  { schema, value, set, kind }: Pick<FieldProps, "schema" | "value" | "set"> & {
    readonly kind: "text" | "list" | "number" | "json" | "object";
  },
): JSX.Element {
  const [text, write] = useState(() => wordsOf(kind, value));
  const read = (now: string): void => {
    write(now);
    set(() => readAs(kind, schema, now));
  };
  const isBroken = value instanceof Unread;
  if (kind === "number") {
    return (
      <input
        inputMode="decimal"
        value={text}
        aria-invalid={isBroken}
        onInput={(event) => read(event.currentTarget.value)}
      />
    );
  }
  return (
    <textarea
      rows={kind === "text" ? 2 : 4}
      value={text}
      aria-invalid={isBroken}
      class={kind === "json" ? "mono" : undefined}
      spellcheck={kind === "text"}
      placeholder={kind === "list" ? "one a line" : kind === "json" ? "JSON" : undefined}
      onInput={(event) => read(event.currentTarget.value)}
    />
  );
}

function wordsOf(kind: Kind, value: Filled): string {
  if (value instanceof Unread) return value.text;
  if (value === undefined) return "";
  if (kind === "list" && Array.isArray(value)) return value.join("\n");
  return kind === "json" ? JSON.stringify(value, null, 2) : String(value);
}

function readAs(kind: Kind, schema: Schema, text: string): Filled {
  if (text.trim() === "") return undefined;
  switch (kind) {
    case "list":
      return text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
    case "number": {
      const value = Number(text);
      if (!Number.isFinite(value)) return new Unread(text, "expected a number");
      if (schema.type === "integer" && !Number.isInteger(value)) {
        return new Unread(text, "expected a whole number");
      }
      if (typeof schema.minimum === "number" && value < schema.minimum) {
        return new Unread(text, `expected ${schema.minimum} or more`);
      }
      if (typeof schema.maximum === "number" && value > schema.maximum) {
        return new Unread(text, `expected ${schema.maximum} or less`);
      }
      return value;
    }
    case "json":
      return parsed(text);
    case "text":
      if (typeof schema.maxLength === "number" && [...text].length > schema.maxLength) {
        return new Unread(text, `expected ${schema.maxLength} characters or less`);
      }
      return text;
    case "yes":
    case "enum":
    case "object":
      return text;
  }
}

/** Text as JSON. */
export function parsed(text: string): Filled {
  try {
    return JSON.parse(text);
  } catch {
    return new Unread(text, "it is not JSON yet");
  }
}

const DEPTH_MAX = 4;
const FIELDS_MAX = 64;

/** A schema to make a form of; one that is too deep or too long is written as JSON. */
export function formSchema(schema: Schema): Schema {
  let count = 0;
  const fits = (one: Schema, depth: number): boolean => {
    count += 1;
    if (depth > DEPTH_MAX || count > FIELDS_MAX) return false;
    return !isPlain(one.properties) ||
      Object.values(one.properties).every((of) => isPlain(of) && fits(of, depth + 1));
  };
  return fits(schema, 0) ? schema : {};
}
