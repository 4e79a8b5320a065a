/**
 * Content of an object, once somebody asked for it: pictures, sound and video by their elements,
 * actions as a table, all else as text.
 *
 * Invariants:
 *   M1. What an agent wrote is text here, or the content of an element that runs none of it: `img`,
 *       `audio`, `video`. The server says what it is by its bytes.
 *   M2. A picture that would take more memory than a page should is not drawn unasked, whatever its
 *       size in bytes.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ObjectView } from "../schema/memory.ts";
import { Table } from "./lists.tsx";
import { Block, Claimed } from "./parts.tsx";
import { countOf, spanOf, visible } from "./words.ts";

/** Pixels that are drawn unasked: 4 bytes each. */
const PIXELS_MAX = 40_000_000;
const ACTIONS_MAX = 500;
const TEXT_MAX = 200_000;
const SVG = /^\s*(?:<\?xml[^>]*>\s*)?<svg[\s>]/;

interface Facts {
  readonly mediaType?: string;
  readonly width?: number;
  readonly height?: number;
  readonly durationMs?: number;
  readonly bytes?: number;
}

/** A version's content. */
export function Content({ object, version, value }: {
  readonly object: ObjectView;
  readonly version: number;
  readonly value: unknown;
}): JSX.Element {
  const at = `/v1/objects/${object.id}/versions/${version}/content`;
  const name = `version ${version}`;
  const { type } = object;
  const isMedia = /^(image|audio|video|document)$/.test(type);
  return (
    <>
      <p class="dim">
        {isMedia ? visible(factsText(value as Facts)) : visible(type)}
        {" · "}
        <a href={at} download={`${object.id}@${version}`}>Download {name}</a>
      </p>
      {isMedia
        ? <Shown type={type} at={at} name={name} facts={value as Facts} />
        : type === "actions"
        ? <Actions value={value} name={name} />
        : <Text value={value} at={at} name={name} />}
    </>
  );
}

function factsText({ mediaType = "", width, height, durationMs, bytes }: Facts): string {
  return [
    mediaType,
    ...(width === undefined ? [] : [`${width} × ${height} pixels`]),
    ...(durationMs === undefined ? [] : [spanOf(durationMs)]),
    ...(bytes === undefined ? [] : [`${countOf(bytes)} bytes`]),
  ].join(", ");
}

function Shown({ type, at, name, facts }: {
  readonly type: string;
  readonly at: string;
  readonly name: string;
  readonly facts: Facts;
}): JSX.Element {
  const label = `Content of ${name}`;
  const [isWrong, setWrong] = useState(false);
  const onError = (): void => setWrong(true);
  if (isWrong) return <p>This browser cannot show it. It can be downloaded.</p>;
  if (type === "audio") {
    return <audio controls preload="metadata" src={at} aria-label={label} onError={onError} />;
  }
  if (type === "video") {
    return <video controls preload="metadata" src={at} aria-label={label} onError={onError} />;
  }
  if (type === "document") return <p>Documents are not shown here. It can be downloaded.</p>;
  const pixels = (facts.width ?? 0) * (facts.height ?? 0);
  return <Picture at={at} label={label} isHeld={pixels > PIXELS_MAX} onError={onError} />;
}

function Picture({ at, label, isHeld, onError }: {
  readonly at: string;
  readonly label: string;
  /** Whether it waits until somebody asks for it (M2). */
  readonly isHeld: boolean;
  readonly onError: () => void;
}): JSX.Element {
  const [isOpen, open] = useState(!isHeld);
  return isOpen ? <img class="content" src={at} alt={label} onError={onError} /> : (
    <p>
      It is so large that drawing it takes much memory.{" "}
      <button type="button" onClick={() => open(true)}>Draw it all the same</button>
    </p>
  );
}

function Text({ value, at, name }: {
  readonly value: unknown;
  readonly at: string;
  readonly name: string;
}): JSX.Element {
  const [isPicture, setPicture] = useState(false);
  const [isWrong, setWrong] = useState(false);
  const text = textOf(value);
  return (
    <>
      {SVG.test(text) && (
        <p>
          <button
            type="button"
            aria-pressed={isPicture}
            onClick={() => setPicture(!isPicture)}
          >
            Show as a picture
          </button>
        </p>
      )}
      {isPicture && (isWrong ? <p>It is no picture.</p> : (
        <img
          class="content"
          src={`${at}?as=svg`}
          alt={`Picture of ${name}`}
          onError={() => setWrong(true)}
        />
      ))}
      <Block text={text.slice(0, TEXT_MAX)} label={`Content of ${name}`} />
      {text.length > TEXT_MAX && (
        <p class="dim">
          These are the first {countOf(TEXT_MAX)} of {countOf(text.length)} characters.
        </p>
      )}
    </>
  );
}

interface Act {
  readonly action: string;
  readonly args?: unknown;
  readonly atMs?: number;
}

/** What was done or is to be done, one after another. */
function Actions({ value, name }: {
  readonly value: unknown;
  readonly name: string;
}): JSX.Element {
  const { actions, durationMs } = value as { actions: readonly Act[]; durationMs?: number };
  return (
    <>
      <p>
        {actions.length} actions{durationMs !== undefined && ` in ${spanOf(durationMs)}`}
        {actions.length > ACTIONS_MAX && `, of which these are the first ${ACTIONS_MAX}`}
      </p>
      <Table label={`Content of ${name}`} heads={["", "When", "Action", "With"]}>
        {actions.slice(0, ACTIONS_MAX).map(({ action, args, atMs }, i) => (
          <tr key={i}>
            <td>{i + 1}</td>
            <td class="now">{atMs === undefined ? "–" : spanOf(atMs)}</td>
            <td>
              <Claimed text={action} max={200} />
            </td>
            <td>
              <code>
                <Claimed text={args === undefined ? "" : JSON.stringify(args)} max={500} />
              </code>
            </td>
          </tr>
        ))}
      </Table>
    </>
  );
}

/** A value as text: a text as it is, all else as JSON. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? "";
}
