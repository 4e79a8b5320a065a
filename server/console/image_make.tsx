/**
 * Making an image of what a process has become.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ImageView } from "../schema/memory.ts";
import type { ProcessView } from "../schema/process.ts";
import { send } from "./api.ts";
import { Dialog, Form, TextField, useAct } from "./forms.tsx";
import { go } from "./route.ts";

/** A button that asks for the image's name, and leads to it when it is made. */
export function MakeImage({ process }: { readonly process: ProcessView }): JSX.Element {
  const [isOpen, open] = useState(false);
  return (
    <>
      <button type="button" onClick={() => open(true)}>Make an image…</button>
      {isOpen && <MakeDialog pid={process.pid} close={() => open(false)} />}
    </>
  );
}

function MakeDialog({ pid, close }: {
  readonly pid: string;
  readonly close: () => void;
}): JSX.Element {
  const act = useAct();
  const [name, setName] = useState("");
  const [version, setVersion] = useState("1");
  const make = async (): Promise<void> => {
    await send<ImageView>("POST", "/v1/images", { pid, name, version });
    close();
    go("/view/images");
  };
  return (
    <Dialog title={`Make an image of ${pid}`} close={close}>
      <p>
        It has the instructions and the tools of{" "}
        {pid}, those too that agents wrote. It takes no memory along and grants nothing. The log
        names the position that it was made of.
      </p>
      <Form
        act={act}
        send={make}
        button="Make it"
        tone="yes"
        disabled={!/^[a-z][a-z0-9-]{0,63}$/.test(name) || !/^[\w.-]{1,32}$/.test(version)}
      >
        <TextField
          name="Name"
          sample="reporter"
          hint="Small letters, digits and hyphens"
          value={name}
          set={setName}
        />
        <TextField name="Version" value={version} set={setVersion} />
      </Form>
    </Dialog>
  );
}
