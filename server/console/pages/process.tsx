/**
 * One process: what it is, how it is, what it did, and what it can be asked.
 * @module
 */

import type { ComponentChildren, FunctionComponent, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ProcessView } from "../../schema/process.ts";
import { get, may, type Who } from "../api.ts";
import { MakeImage } from "../image_make.tsx";
import { LabelInWords } from "../label.tsx";
import { useRead } from "../live.ts";
import { Budgets } from "../meter.tsx";
import type { PageProps } from "../pages.ts";
import { Age, Claimed, Page, Pid, Problem, State } from "../parts.tsx";
import { pathTo } from "../route.ts";
import { useSteering } from "../steer.tsx";
import { visible } from "../words.ts";
import { Lines } from "./process_lines.tsx";
import { Checkpoints, Objects, Rights, Tools } from "./process_tabs.tsx";
import { Conversation } from "./process_talk.tsx";
import { Timeline } from "./process_timeline.tsx";

type Tab = FunctionComponent<{ readonly process: ProcessView; readonly who: Who }>;

/** Parts of the page, by their name in the address. */
const TABS: readonly (readonly [string, string, Tab])[] = [
  ["", "Timeline", Timeline],
  ["conversation", "Conversation", Conversation],
  ["capabilities", "Capabilities", Rights],
  ["objects", "Objects", Objects],
  ["tools", "Tools", Tools],
  ["checkpoints", "Checkpoints", Checkpoints],
  ["lines", "Raw events", Lines],
];

/** The page. */
export function ProcessPage({ place, who }: PageProps): JSX.Element {
  const pid = place.path[1] ?? "";
  const tree = `t_${pid.slice(2).split(".")[0]}`;
  const { data, error } = useRead<ProcessView>(
    `/v1/processes/${encodeURIComponent(pid)}`,
    (event) => event.kind !== "process.text" && (event.pid === pid || event.tree === tree),
  );
  const tab = TABS.find(([name]) => name === (place.query.get("tab") ?? "")) ?? TABS[0]!;
  const Shown = tab[2];
  return (
    <Page title={visible(pid)} side={data !== undefined && <State process={data} />}>
      {error !== undefined && <Problem error={error} />}
      {data !== undefined && (
        <>
          <Head process={data} who={who} />
          <div class="tabs" role="navigation" aria-label={`Parts of ${pid}`}>
            {TABS.map(([name, title]) => (
              <a
                key={name}
                href={name === "" ? pathTo.process(pid) : `${pathTo.process(pid)}?tab=${name}`}
                aria-current={name === tab[0] ? "page" : undefined}
              >
                {title}
              </a>
            ))}
          </div>
          <Shown key={pid} process={data} who={who} />
        </>
      )}
    </Page>
  );
}

function Head({ process, who }: {
  readonly process: ProcessView;
  readonly who: Who;
}): JSX.Element {
  const steering = useSteering();
  const { image, goal, owner, cwd, labels, startedAt, endedAt, step, calls } = process;
  return (
    <section aria-label="What it is">
      <Lineage process={process} />
      <p class="goal">
        <Claimed text={goal} max={1_000} />
      </p>
      <Why process={process} />
      <dl class="facts">
        <Fact name="Image">{visible(image)}</Fact>
        <Fact name="Owner">{visible(owner)}</Fact>
        <Fact name="Folder">{visible(cwd)}</Fact>
        <Fact name="Step">{String(step)}</Fact>
        <Fact name="Calls">
          {`${calls.allowed} allowed, ${calls.asked} asked, ${calls.denied} denied`}
        </Fact>
        <Fact name={endedAt === null ? "Started" : "Ended"}>
          <Age at={endedAt ?? startedAt} /> ago
        </Fact>
        {Object.entries(labels).map(([key, value]) => (
          <Fact key={key} name="Label">{visible(`${key}=${value}`)}</Fact>
        ))}
      </dl>
      <div class="row">
        <span class="dim">It has seen what is</span> <LabelInWords label={process.label} />
      </div>
      <Budgets process={process} />
      {may(who, "operator") && (
        <div class="row" role="group" aria-label={`Do with ${process.pid}`}>
          {steering.items(process).filter(({ name }) => name !== "Open").map((
            { name, act, isEnd },
          ) => (
            <button key={name} type="button" class={isEnd ? "no" : undefined} onClick={act}>
              {name}
            </button>
          ))}
          <MakeImage process={process} />
        </div>
      )}
      {steering.shown}
    </section>
  );
}

function Fact({ name, children }: {
  readonly name: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** Why it does not run, or how it ended; with the way to what it waits for. */
function Why({ process }: { readonly process: ProcessView }): JSX.Element | null {
  const { waiting, outcome } = process;
  if (outcome !== null) {
    const { kind, code, message, by } = outcome;
    return (
      <p>
        It {kind}
        {code !== null && ` with ${code}`}
        {by !== null && ` by ${visible(by)}`}
        {message !== null && message !== "" && (
          <>
            : <Claimed text={message} max={1_000} />
          </>
        )}
      </p>
    );
  }
  if (waiting === null) return null;
  const { reason, on, since } = waiting;
  return (
    <p>
      It waits for {FOR[reason]}
      {on !== null && (
        <>
          {" "}
          <On on={on} />
        </>
      )}, since <Age at={since} />.
    </p>
  );
}

const FOR: Readonly<Record<NonNullable<ProcessView["waiting"]>["reason"], string>> = {
  person: "a person:",
  message: "a message",
  child: "its child",
  away: "its own tree to end:",
  timer: "a time:",
  call: "a call that somebody else asked for:",
  paused: "somebody to resume it; it was paused by",
  node: "a node with",
};

function On({ on }: { readonly on: string }): JSX.Element {
  const words = on.split(" ");
  if (words.every((word) => /^req_\d+\.\d+$/.test(word))) {
    return <a class="id" href={pathTo.request(on)}>{on}</a>;
  }
  if (!words.every((word) => /^p_\d+(\.\d+)?$/.test(word))) return <span>{visible(on)}</span>;
  return (
    <>
      {words.map((word, i) => (
        <span key={word}>
          {i > 0 && ", "}
          <Pid pid={word} />
        </span>
      ))}
    </>
  );
}

/** From the root of its tree down to it. */
function Lineage({ process }: { readonly process: ProcessView }): JSX.Element | null {
  const [above, setAbove] = useState<readonly string[]>([]);
  useEffect(() => {
    const stop = new AbortController();
    void lineageOf(process, stop.signal).then(setAbove, () => {});
    return () => stop.abort();
  }, [process.pid]);
  if (process.parent === null) return null;
  return (
    <div class="lineage" role="navigation" aria-label="Lineage">
      {above.map((pid) => (
        <span key={pid}>
          <Pid pid={pid} /> ›{" "}
        </span>
      ))}
      <span class="id">{process.pid}</span>
    </div>
  );
}

async function lineageOf(
  { parent }: ProcessView,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (parent === null) return [];
  const above = await get<ProcessView>(`/v1/processes/${parent}`, signal);
  return [...await lineageOf(above, signal), parent];
}
