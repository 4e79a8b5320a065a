/**
 * Branching off a checkpoint, and going back to one after what that would do was shown.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { CheckpointView } from "../schema/memory.ts";
import type { ProcessView } from "../schema/process.ts";
import { send, type Who } from "./api.ts";
import { AMOUNTS, Amounts, amountsOf } from "./amounts.tsx";
import { Dialog, Form, may, TextField, Tick, TypedWord, useAct } from "./forms.tsx";
import { Table } from "./lists.tsx";
import { useRead } from "./live.ts";
import { Claimed, Pid, Problem } from "./parts.tsx";
import { go, pathTo } from "./route.ts";
import { visible } from "./words.ts";

/** Starts a new tree from a checkpoint. */
export function ForkDialog({ checkpoint, who, close }: {
  readonly checkpoint: CheckpointView;
  readonly who: Who;
  readonly close: () => void;
}): JSX.Element {
  const act = useAct();
  const [texts, setTexts] = useState({ goal: "", model: "", message: "", policy: "" });
  const [budget, setBudget] = useState<Readonly<Record<string, string>>>({});
  const fork = async (): Promise<void> => {
    const edits = Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== ""));
    const amounts = amountsOf(budget);
    const { pid } = await send<ProcessView>("POST", `/v1/checkpoints/${checkpoint.id}/fork`, {
      ...edits,
      ...(Object.keys(amounts).length === 0 ? {} : { budget: amounts }),
    });
    close();
    go(pathTo.process(pid));
  };
  const text = (name: keyof typeof texts, word: string, lines: number, sample: string) => (
    <TextField
      name={word}
      lines={lines}
      sample={sample}
      value={texts[name]}
      set={(value) => setTexts((now) => ({ ...now, [name]: value }))}
    />
  );
  return (
    <Dialog title={`Fork from ${checkpoint.id}`} close={close}>
      <p>
        A new tree begins at line {checkpoint.seq} of{" "}
        {checkpoint.tree}, which goes on. What could be used twice is not copied. What you leave
        empty stays as it was.
      </p>
      <Form act={act} send={fork} button="Fork" tone="yes">
        {text("goal", "Goal", 3, "as it was")}
        {text("message", "A message to begin with", 2, "none")}
        {text("model", "Model", 1, "as it was")}
        <details>
          <summary>Budget</summary>
          <Amounts kinds={AMOUNTS} values={budget} set={setBudget} />
        </details>
        {may(who, "admin") && (
          <details>
            <summary>Policy</summary>
            {text("policy", "Rules, one a line", 5, "as it was")}
          </details>
        )}
      </Form>
    </Dialog>
  );
}

interface Preview {
  readonly to: number;
  readonly effects: readonly {
    readonly seq: number;
    readonly pid: string;
    readonly what: string;
    readonly ok: boolean | null;
  }[];
  readonly messages: number;
  readonly files: readonly {
    readonly path: string;
    readonly does: string;
    readonly conflict: string | null;
  }[];
}

/** Takes a tree back, after a word was typed. */
export function RollbackDialog({ checkpoint, close, done }: {
  readonly checkpoint: CheckpointView;
  readonly close: () => void;
  readonly done: () => void;
}): JSX.Element {
  const { id, tree, seq, name } = checkpoint;
  const act = useAct();
  const [files, setFiles] = useState(false);
  const [word, setWord] = useState("");
  const { data, error } = useRead<Preview>(`/v1/checkpoints/${id}/preview`);
  const back = async (): Promise<void> => {
    await send("POST", `/v1/checkpoints/${id}/rollback`, { files });
    done();
    close();
  };
  return (
    <Dialog title={`Roll back to ${id}`} close={close}>
      <p>
        {tree} goes back to line {seq} (<Claimed text={name} max={100} />
        ). What was revoked, spent or answered since stays so, and the log keeps every line.
      </p>
      {error !== undefined && <Problem error={error} />}
      {data === undefined && error === undefined && <p class="dim">Looking what that does…</p>}
      {data !== undefined && <PreviewView preview={data} />}
      <Form
        act={act}
        send={back}
        button="Roll back"
        tone="no"
        disabled={word !== id || data === undefined}
      >
        {data !== undefined && data.files.length > 0 && (
          <Tick
            name="Put the files back too, those without conflict"
            value={files}
            set={setFiles}
          />
        )}
        <TypedWord word={id} value={word} set={setWord} />
      </Form>
    </Dialog>
  );
}

function PreviewView({ preview }: { readonly preview: Preview }): JSX.Element {
  const { effects, messages, files } = preview;
  return (
    <>
      <h3>
        {effects.length === 0
          ? "Nothing outside was changed since"
          : `${effects.length} ${
            effects.length === 1 ? "effect" : "effects"
          } outside cannot be undone`}
      </h3>
      {effects.length > 0 && (
        <ul class="plain">
          {effects.slice(0, 100).map(({ seq, pid, what, ok }) => (
            <li key={seq}>
              line {seq}, <Pid pid={pid} />: <Claimed text={what} max={200} />
              {ok === null ? " (outcome not known)" : ok ? "" : " (failed)"}
            </li>
          ))}
          {effects.length > 100 && <li>and {effects.length - 100} more</li>}
        </ul>
      )}
      {messages > 0 && <p>{messages} messages from outside will not be delivered again.</p>}
      {files.length > 0 && (
        <>
          <h3>{files.length} files differ since</h3>
          <Table label="Files" heads={["File", "Would be", "Conflict"]}>
            {files.map(({ path, does, conflict }) => (
              <tr key={path}>
                <td class="id">{visible(path)}</td>
                <td>{visible(does)}</td>
                <td>{conflict === null ? "none" : visible(conflict)}</td>
              </tr>
            ))}
          </Table>
        </>
      )}
    </>
  );
}
