/**
 * What comes before a page: dialogs, questions before something ends, and menus.
 *
 * Invariants:
 *   D1. Whatever opens takes the focus, Escape closes it, and the focus goes back to where it was.
 * @module
 */

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { type ApiError, problemIn } from "./api.ts";
import { Problem } from "./parts.tsx";

/** A dialog; it is open as long as it is there. */
export function Dialog({ title, close, children }: {
  readonly title: string;
  readonly close: () => void;
  readonly children: ComponentChildren;
}): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onClose={close}
      onClick={(event) => event.target === dialog.current && close()}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

/** Asks before something is done that does not come back. */
export function Confirm({ title, verb, children, act, close }: {
  readonly title: string;
  readonly verb: string;
  readonly children?: ComponentChildren;
  /** Given what was written as the reason. */
  readonly act: (reason: string) => Promise<void>;
  readonly close: () => void;
}): JSX.Element {
  const [reason, setReason] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | undefined>();
  const submit = (event: Event): void => {
    event.preventDefault();
    if (isBusy) return;
    setBusy(true);
    act(reason).then(close, (thrown) => {
      setError(problemIn(thrown));
      setBusy(false);
    });
  };
  return (
    <Dialog title={title} close={close}>
      <form onSubmit={submit}>
        {children}
        <label class="field">
          Reason, for the log
          <input
            maxLength={512}
            value={reason}
            onInput={(event) => setReason(event.currentTarget.value)}
          />
        </label>
        {error !== undefined && <Problem error={error} />}
        <div class="row end">
          <button type="button" onClick={close}>Go back</button>
          <button type="submit" class="no" aria-disabled={isBusy}>{verb}</button>
        </div>
      </form>
    </Dialog>
  );
}

/** One line of a menu. */
export interface MenuItem {
  readonly name: string;
  readonly act: () => void;
  readonly isEnd?: boolean;
}

/** A button that opens a menu. */
export function Menu({ label, items }: {
  readonly label: string;
  readonly items: readonly MenuItem[];
}): JSX.Element {
  const [isOpen, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!isOpen || button.current === null || list.current === null) return;
    const { right, bottom } = button.current.getBoundingClientRect();
    list.current.showPopover();
    const { offsetWidth, offsetHeight, style } = list.current;
    style.left = `${Math.max(4, right - offsetWidth)}px`;
    style.top = `${Math.max(4, Math.min(bottom, innerHeight - offsetHeight - 4))}px`;
    (list.current.firstElementChild as HTMLElement | null)?.focus();
  }, [isOpen]);
  const walk = (event: KeyboardEvent): void => {
    const all = [...list.current?.children ?? []] as HTMLElement[];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step === 0 && event.key !== "Tab") return;
    event.preventDefault();
    if (step === 0) list.current?.hidePopover();
    else all[(at + step + all.length) % all.length]?.focus();
  };
  return (
    <>
      <button
        type="button"
        class="quiet"
        ref={button}
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        onClick={() => setOpen(true)}
      >
        ⋯
      </button>
      {isOpen && (
        <div
          class="menu"
          role="menu"
          aria-label={label}
          popover="auto"
          ref={list}
          onKeyDown={walk}
          onToggle={(event) => {
            if (event.newState !== "closed") return;
            setOpen(false);
            if (document.activeElement === document.body) button.current?.focus();
          }}
        >
          {items.map(({ name, act, isEnd }) => (
            <button
              key={name}
              type="button"
              role="menuitem"
              class={isEnd ? "no" : undefined}
              onClick={() => {
                list.current?.hidePopover();
                button.current?.focus();
                act();
              }}
            >
              {name}
            </button>
          ))}
        </div>
      )}
    </>
  );
}
