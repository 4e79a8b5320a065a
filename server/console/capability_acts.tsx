/**
 * Giving rights, and taking them back after what falls with them was shown.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { CapabilityView } from "../schema/authority.ts";
import { send } from "./api.ts";
import { fallWith, Rule } from "./capability_parts.tsx";
import { Choice, Dialog, Form, TextField, Tick, useAct } from "./forms.tsx";
import { Pid } from "./parts.tsx";

/** What a grant form begins with. */
export interface GrantWish {
  readonly pid: string;
  readonly rule: string;
  readonly uses: string;
}

const ENDS = [
  ["", "with the process"],
  ["900000", "in 15 minutes"],
  ["3600000", "in an hour"],
  ["28800000", "in 8 hours"],
  ["86400000", "in a day"],
] as const;

/** Gives a process a right. */
export function GrantForm({ wish, set, done }: {
  readonly wish: GrantWish;
  readonly set: (wish: GrantWish) => void;
  readonly done: () => void;
}): JSX.Element {
  const act = useAct();
  const [forMs, setForMs] = useState("");
  const [delegable, setDelegable] = useState(false);
  const [constraint, setConstraint] = useState("");
  const give = async (): Promise<string> => {
    const cap = await send<CapabilityView>(
      "POST",
      `/v1/processes/${encodeURIComponent(wish.pid.trim())}/capabilities`,
      {
        rule: wish.rule,
        ...(wish.uses === "" ? {} : { uses: Number(wish.uses) }),
        ...(forMs === "" ? {} : { forMs: Number(forMs) }),
        ...(delegable ? { delegable } : {}),
        ...(constraint.trim() === "" ? {} : { constraint: JSON.parse(constraint) }),
      },
    );
    done();
    return `${cap.id} was given to ${cap.subject}.`;
  };
  return (
    <Form act={act} send={give} button="Give" disabled={wish.pid === "" || wish.rule === ""}>
      <TextField
        name="Process"
        sample="p_1"
        value={wish.pid}
        set={(pid) => set({ ...wish, pid })}
      />
      <TextField
        name="Right"
        sample="file.read(./notes/**)"
        hint="Inside the ceiling that the tree was started with"
        value={wish.rule}
        set={(rule) => set({ ...wish, rule })}
      />
      <TextField
        name="Uses"
        sample="any number"
        isNumber
        value={wish.uses}
        set={(uses) => set({ ...wish, uses })}
      />
      <Choice name="Ends" value={forMs} set={setForMs} options={ENDS} />
      <Tick name="It may hand it on to its children" value={delegable} set={setDelegable} />
      <details>
        <summary>Only with some arguments</summary>
        <TextField
          name="JSON Schema over the call's arguments"
          lines={3}
          sample='{"properties": {"path": {"const": "./a.txt"}}}'
          value={constraint}
          set={setConstraint}
        />
      </details>
    </Form>
  );
}

/** Asks before a capability is taken back: what falls with it, and whom that meets. */
export function RevokeDialog({ cap, all, close, done }: {
  readonly cap: CapabilityView;
  readonly all: readonly CapabilityView[];
  readonly close: () => void;
  readonly done: () => void;
}): JSX.Element {
  const act = useAct();
  const [reason, setReason] = useState("");
  const revoke = async (): Promise<void> => {
    const query = new URLSearchParams({ reason });
    await send("DELETE", `/v1/capabilities/${cap.id}?${query}`);
    done();
    close();
  };
  const { capabilities, processes } = cap.below;
  const falls = fallWith(cap, all);
  return (
    <Dialog title={`Revoke ${cap.id}`} close={close}>
      <p>
        {capabilities === 1
          ? "This capability falls, and no other with it: "
          : `${capabilities} capabilities fall, in ${processes} ${
            processes === 1 ? "process" : "processes"
          }: `}
        what was derived from it goes with it. It cannot be taken back; you can give the right anew.
      </p>
      <ul class="plain">
        {falls.slice(0, 50).map((one) => (
          <li key={one.id}>
            <span class="id">{one.id}</span> <Rule cap={one} /> of <Pid pid={one.subject} />
          </li>
        ))}
        {falls.length > 50 && <li>and {falls.length - 50} more</li>}
      </ul>
      <Form act={act} send={revoke} button={`Revoke ${capabilities}`} tone="no">
        <TextField name="Why, for the log" value={reason} set={setReason} />
      </Form>
    </Dialog>
  );
}
