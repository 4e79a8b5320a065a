/**
 * Forms: fields, what became of what a person did, and asking before what cannot be taken back.
 *
 * Invariants:
 *   F1. What was typed stays until it was accepted, whatever comes in meanwhile.
 *   F2. Nothing that cannot be taken back is done by one press.
 *   F3. What is pressed is done once, and keeps the focus while it is done.
 * @module
 */

import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { reaches, type Role } from "../principal.ts";
import type { ApiError, Who } from "./api.ts";
import { Dialog as Shown } from "./dialog.tsx";
import { known } from "./paged.ts";
import { Problem } from "./parts.tsx";

/** Something that a person does, while it is done and after. */
export interface Act {
  /** Its button says so by `aria-disabled`: one that is disabled would lose the focus (F3). */
  readonly isBusy: boolean;
  readonly error: ApiError | undefined;
  /** What became of it. */
  readonly said: string | undefined;
  /** Does it; what it returns is said. */
  run(job: () => Promise<string | void>): void;
}

/** Something to do, once at a time. */
export function useAct(): Act {
  const [at, set] = useState<{ isBusy: boolean; error?: ApiError; said?: string }>({
    isBusy: false,
  });
  const run = (job: () => Promise<string | void>): void => {
    if (at.isBusy) return;
    set({ isBusy: true });
    job().then(
      (said) => set({ isBusy: false, ...(said === undefined ? {} : { said }) }),
      (thrown) => set({ isBusy: false, error: known(thrown) }),
    );
  };
  return { isBusy: at.isBusy, error: at.error, said: at.said, run };
}

/** What became of an act, in place. */
export function Said({ act }: { readonly act: Act }): JSX.Element {
  return (
    <div aria-live="polite">
      {act.error !== undefined && <Problem error={act.error} />}
      {act.said !== undefined && <p class="said">{act.said}</p>}
    </div>
  );
}

/** A field with its name and, where it helps, a word on what goes in. */
export function Field({ name, hint, wide = false, children }: {
  readonly name: string;
  readonly hint?: ComponentChildren;
  readonly wide?: boolean;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <label class={wide ? "entry wide" : "entry"}>
      <span>{name}</span>
      {children}
      {hint !== undefined && <small>{hint}</small>}
    </label>
  );
}

interface Typed {
  readonly name: string;
  readonly value: string;
  readonly set: (value: string) => void;
  readonly hint?: ComponentChildren;
}

/** A field for a line of text, or for several. */
export function TextField(
  { name, value, set, hint, lines = 1, sample, isNumber = false, isFilter = false }: Typed & {
    readonly lines?: number;
    /** What could stand there. */
    readonly sample?: string;
    readonly isNumber?: boolean;
    /** Whether the key "/" leads here. */
    readonly isFilter?: boolean;
  },
): JSX.Element {
  const more = {
    autoComplete: "off",
    spellcheck: false,
    value,
    ...(sample === undefined ? {} : { placeholder: sample }),
  };
  return (
    <Field name={name} hint={hint} wide={lines > 1}>
      {lines > 1
        ? <textarea {...more} rows={lines} onInput={(e) => set(e.currentTarget.value)} />
        : (
          <input
            {...more}
            data-filter={isFilter ? "" : undefined}
            inputMode={isNumber ? "decimal" : "text"}
            onInput={(e) => set(e.currentTarget.value)}
          />
        )}
    </Field>
  );
}

/** A field with a few words to choose from: value → word. */
export function Choice({ name, value, set, hint, options }: Typed & {
  readonly options: readonly (readonly [value: string, word: string])[];
}): JSX.Element {
  return (
    <Field name={name} hint={hint}>
      <select value={value} onChange={(e) => set(e.currentTarget.value)}>
        {options.map(([key, word]) => (
          <option key={key} value={key} selected={key === value}>{word}</option>
        ))}
      </select>
    </Field>
  );
}

/** A field to tick. */
export function Tick({ name, value, set }: {
  readonly name: ComponentChildren;
  readonly value: boolean;
  readonly set: (value: boolean) => void;
}): JSX.Element {
  return (
    <label class="tick">
      <input type="checkbox" checked={value} onChange={(e) => set(e.currentTarget.checked)} />
      <span>{name}</span>
    </label>
  );
}

/** A form that is sent by Enter or its button; its fields stay when it is refused (F1). */
export function Form({ act, send, button, tone = "", children, disabled = false }: {
  readonly act: Act;
  readonly send: () => Promise<string | void>;
  readonly button: string;
  readonly tone?: "" | "yes" | "no";
  readonly disabled?: boolean;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        act.run(send);
      }}
    >
      {children}
      <div class="row">
        <button type="submit" class={tone} disabled={disabled} aria-disabled={act.isBusy}>
          {act.isBusy ? "Working…" : button}
        </button>
      </div>
      <Said act={act} />
    </form>
  );
}

/** A dialog with a button that closes it. */
export function Dialog({ title, close, children }: {
  readonly title: string;
  readonly close: () => void;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <Shown title={title} close={close}>
      {children}
      <div class="row end">
        <button type="button" onClick={close}>Close</button>
      </div>
    </Shown>
  );
}

/** Asks for a word to be typed before what cannot be taken back (F2). */
export function TypedWord({ word, value, set }: {
  readonly word: string;
  readonly value: string;
  readonly set: (value: string) => void;
}): JSX.Element {
  return (
    <Field
      name={`Type ${word} to confirm`}
      hint={value !== "" && value !== word ? `It is not ${word} yet` : undefined}
    >
      <input
        autoComplete="off"
        spellcheck={false}
        value={value}
        onInput={(e) => set(e.currentTarget.value)}
      />
    </Field>
  );
}

/** Shows its children to those who may; tells the others what role it takes. */
export function Only({ who, role, what, children }: {
  readonly who: Who;
  readonly role: Role;
  readonly what: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  if (reaches(who.role, role)) return <>{children}</>;
  return <p class="dim">{what} takes role {role}; you are signed in as {who.role}.</p>;
}

/** Whether somebody may do what a role may. */
export function may(who: Who, role: Role): boolean {
  return reaches(who.role, role);
}
