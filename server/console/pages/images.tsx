/**
 * Images: what this server can start, and starting it.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ImageView } from "../../schema/memory.ts";
import type { ProcessView } from "../../schema/process.ts";
import { AMOUNTS, Amounts, amountsOf } from "../amounts.tsx";
import { send, type Who } from "../api.ts";
import { Dialog, Form, may, Only, TextField, useAct } from "../forms.tsx";
import { labelsOf } from "../labels.ts";
import { Facts } from "../lists.tsx";
import { useRead } from "../live.ts";
import type { PageProps } from "../pages.ts";
import { Age, Block, Empty, Page, Pid, Problem } from "../parts.tsx";
import { go, pathTo } from "../route.ts";
import { visible } from "../words.ts";

/** The page. */
export function Images({ who }: PageProps): JSX.Element {
  const { data, error } = useRead<{ readonly items: readonly ImageView[] }>("/v1/images");
  const [starting, setStarting] = useState<ImageView | undefined>();
  return (
    <Page title="Images">
      {error !== undefined && <Problem error={error} />}
      <Only who={who} role="operator" what="Starting processes">{null}</Only>
      {data?.items.length === 0 && (
        <Empty command="libos serve agent.ts">This server was given no image to start.</Empty>
      )}
      {data?.items.map((image) => (
        <Card
          key={image.ref}
          image={image}
          who={who}
          start={() => setStarting(image)}
        />
      ))}
      {starting !== undefined && (
        <StartDialog
          image={starting}
          close={() => setStarting(undefined)}
        />
      )}
    </Page>
  );
}

function Card({ image, who, start }: {
  readonly image: ImageView;
  readonly who: Who;
  readonly start: () => void;
}): JSX.Element {
  return (
    <section class="card" aria-label={visible(image.ref)}>
      <div class="head">
        <h2>{visible(image.ref)}</h2>
        {may(who, "operator") && (
          <button
            type="button"
            class="yes"
            aria-label={`Start ${visible(image.ref)}`}
            onClick={start}
          >
            Start
          </button>
        )}
      </div>
      <Facts
        facts={{
          "SHA-256": <span class="id">{image.hash}</span>,
          "Program": visible(image.program),
          "Model": image.model === null ? "none" : visible(image.model),
          "Tools": image.tools.length === 0 ? "none" : (
            <details>
              <summary>{image.tools.length} tools</summary>
              {visible(image.tools.join(", "))}
            </details>
          ),
          "Written by agents": image.generated.length > 0 && (
            <ul class="plain">
              {image.generated.map(({ name, hash }) => (
                <li key={hash}>
                  <a href={pathTo.tool(hash)}>{visible(name)}</a>
                </li>
              ))}
            </ul>
          ),
          "Made of": image.made !== null && (
            <>
              <Pid pid={image.made.pid} /> at line {image.made.seq}, by {visible(image.made.by)},
              {" "}
              <Age at={image.made.at} /> ago
            </>
          ),
          "Asks for": image.requests.length === 0 ? "nothing" : (
            <ul class="plain">
              {image.requests.map((rule) => (
                <li key={rule}>
                  <code>{visible(rule)}</code>
                </li>
              ))}
            </ul>
          ),
        }}
      />
      {image.instructions !== "" && (
        <details>
          <summary>Instructions</summary>
          <Block text={image.instructions} label={`Instructions of ${image.ref}`} />
        </details>
      )}
    </section>
  );
}

const SAMPLE = "allow file.read(./notes/**)\nask file.write(./out/**)";

function StartDialog({ image, close }: {
  readonly image: ImageView;
  readonly close: () => void;
}): JSX.Element {
  const act = useAct();
  const [goal, setGoal] = useState("");
  const [grants, setGrants] = useState(
    image.requests.map((rule) => `allow ${rule}`).join("\n"),
  );
  const [labels, setLabels] = useState("");
  const [budget, setBudget] = useState<Readonly<Record<string, string>>>({});
  const start = async (): Promise<void> => {
    const amounts = amountsOf(budget);
    const { pid } = await send<ProcessView>("POST", "/v1/processes", {
      image: image.ref,
      goal,
      grants: grants.split("\n").map((rule) => rule.trim()).filter((rule) => rule !== ""),
      ...(Object.keys(amounts).length === 0 ? {} : { budget: amounts }),
      ...(labels.trim() === "" ? {} : { labels: labelsOf(labels) }),
    });
    close();
    go(pathTo.process(pid));
  };
  return (
    <Dialog title={`Start ${visible(image.ref)}`} close={close}>
      <Form act={act} send={start} button="Start" tone="yes" disabled={goal === ""}>
        <TextField name="Goal" lines={3} value={goal} set={setGoal} />
        <TextField
          name="Rights, one rule a line"
          lines={4}
          sample={SAMPLE}
          hint="Exactly these, and nothing else; what the image asks for stands here already"
          value={grants}
          set={setGrants}
        />
        <Amounts kinds={AMOUNTS} values={budget} set={setBudget} sample="no limit" />
        <TextField name="Labels" sample="team=a, env=test" value={labels} set={setLabels} />
      </Form>
    </Dialog>
  );
}
