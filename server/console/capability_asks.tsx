/**
 * Questions about authority: who can, and why.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ExplanationView } from "../schema/authority.ts";
import { get, send } from "./api.ts";
import type { GrantWish } from "./capability_acts.tsx";
import { Form, TextField, useAct } from "./forms.tsx";
import { Badge, Facts, Table, TONE } from "./lists.tsx";
import { withQuery } from "./paged.ts";
import { Pid } from "./parts.tsx";
import { visible } from "./words.ts";

interface Able {
  readonly rule: string;
  readonly of: number;
  readonly items: readonly {
    readonly pid: string;
    readonly image: string;
    readonly decision: "allow" | "ask" | "deny";
    readonly cap: string | null;
  }[];
}

/** Which processes could do something. */
export function WhoCan(): JSX.Element {
  const act = useAct();
  const [rule, setRule] = useState("");
  const [found, setFound] = useState<Able | undefined>();
  const ask = async (): Promise<void> => {
    const answer = await get<Able>(withQuery("/v1/capabilities/who", { rule }));
    setFound({ ...answer, rule });
  };
  return (
    <section class="card" aria-labelledby="who-can">
      <h2 id="who-can">Who can …?</h2>
      <Form act={act} send={ask} button="Find out" disabled={rule === ""}>
        <TextField name="Call" sample="net.fetch(https://x.test/a)" value={rule} set={setRule} />
      </Form>
      {found !== undefined && (
        <div aria-live="polite">
          <p>
            {found.items.filter(({ decision }) => decision !== "deny").length} of {found.of}{" "}
            processes can <code>{visible(found.rule)}</code>
          </p>
          {found.items.length > 0 && (
            <Table label="Who can" heads={["Process", "Image", "Decision", "By"]}>
              {found.items.map(({ pid, image, decision, cap }) => (
                <tr key={pid}>
                  <td>
                    <Pid pid={pid} />
                  </td>
                  <td>{visible(image)}</td>
                  <td>
                    <Badge tone={TONE[decision]}>{decision}</Badge>
                  </td>
                  <td class="id">{cap ?? "–"}</td>
                </tr>
              ))}
            </Table>
          )}
        </div>
      )}
    </section>
  );
}

/** Whether a process could do something, and why. */
export function Why({ grant }: { readonly grant: (wish: GrantWish) => void }): JSX.Element {
  const act = useAct();
  const [pid, setPid] = useState("");
  const [rule, setRule] = useState("");
  const [found, setFound] = useState<ExplanationView | undefined>();
  const ask = async (): Promise<void> =>
    setFound(await send("POST", "/v1/capabilities/explain", { pid: pid.trim(), rule }));
  return (
    <section class="card" aria-labelledby="why">
      <h2 id="why">Why?</h2>
      <Form act={act} send={ask} button="Explain" disabled={pid === "" || rule === ""}>
        <TextField name="Process" sample="p_1" value={pid} set={setPid} />
        <TextField name="Call" sample="file.write(./out/a.md)" value={rule} set={setRule} />
      </Form>
      {found !== undefined && <Explained found={found} grant={grant} />}
    </section>
  );
}

const MEANS = {
  allow: "It may, without being asked.",
  ask: "It may, if a person says so.",
  deny: "It may not: a rule says no.",
  none: "It may not: nothing that it holds covers this.",
} as const;

function Explained({ found, grant }: {
  readonly found: ExplanationView;
  readonly grant: (wish: GrantWish) => void;
}): JSX.Element {
  const { decision, chain, considered, suggestion, pid } = found;
  return (
    <div aria-live="polite">
      <p>
        <Badge tone={TONE[decision]}>{decision}</Badge> {MEANS[decision]}
      </p>
      <Facts
        facts={{
          "Call": <code>{visible(`${found.right}(${found.resource})`)}</code>,
          "Rule": found.rule !== null && <code>{visible(found.rule)}</code>,
          "It has seen": found.seen !== null && (
            <>
              {visible(found.seen)}
              <br />
              <span class="dim">
                The rule is a sink, which does not take that. A process that has not seen it may.
              </span>
            </>
          ),
          "Chain": chain.length > 0 && (
            <ol class="plain">
              {chain.map(({ id, via, by }) => (
                <li key={id}>
                  <span class="id">{id}</span> {via} by {visible(by)}
                </li>
              ))}
            </ol>
          ),
          "Least grant": suggestion !== null && (
            <>
              <code>{visible(suggestion)}</code>{" "}
              <button
                type="button"
                onClick={() =>
                  grant({
                    pid,
                    rule: suggestion.replace(/ once$/, ""),
                    uses: suggestion.endsWith(" once") ? "1" : "",
                  })}
              >
                Put it in the form
              </button>
            </>
          ),
        }}
      />
      {considered.length > 0 && (
        <Table label="What was looked at" heads={["Capability", "Fits", "Why"]}>
          {considered.map(({ id, matched, why }) => (
            <tr key={id}>
              <td class="id">{id}</td>
              <td>{matched ? "yes" : "no"}</td>
              <td>{visible(why)}</td>
            </tr>
          ))}
        </Table>
      )}
    </div>
  );
}
