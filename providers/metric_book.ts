/**
 * Measurements that are kept here, as text for whoever asks: version 0.0.4 of the format that
 * Prometheus reads.
 *
 * Invariants:
 *   MB1. A measurement has at most `LIMITS.metricSeriesMax` rows, whatever it is told apart by;
 *        what is beyond goes into one of its own, and no sum is wrong.
 *   MB2. A name and its labels are letters, digits and underlines; a label's value is any text.
 * @module
 */

import { LIMITS } from "../kernel/limits.ts";
import type { Measures, MetricSpec, Record, SignalAttributes } from "./telemetry.ts";

type Type = "counter" | "gauge" | "histogram";

interface Row {
  readonly labels: string;
  value: number;
  /** Of a histogram: how many were up to each bound, and how many in all. */
  readonly counts: number[];
  count: number;
}

/** One measurement, by what it is told apart by. */
class Metric {
  readonly #name: string;
  readonly #type: Type;
  readonly #about: string;
  readonly #bounds: readonly number[];
  readonly #rows = new Map<string, Row>();

  constructor({ name, unit, about, bounds = [] }: MetricSpec, type: Type) {
    this.#name = nameOf(name, unit, type);
    this.#type = type;
    this.#about = about;
    this.#bounds = bounds;
  }

  row(attributes: SignalAttributes): Row {
    const key = labelsOf(attributes);
    const known = this.#rows.get(key);
    if (known !== undefined) return known;
    const labels = this.#rows.size < LIMITS.metricSeriesMax ? key : OVERFLOW;
    const row = this.#rows.get(labels) ??
      { labels, value: 0, counts: this.#bounds.map(() => 0), count: 0 };
    this.#rows.set(labels, row);
    return row;
  }

  readonly add: Record = (value, attributes) => {
    this.row(attributes).value += value;
  };

  readonly record: Record = (value, attributes) => {
    const row = this.row(attributes);
    row.value += value;
    row.count += 1;
    for (const [i, bound] of this.#bounds.entries()) if (value <= bound) row.counts[i]! += 1;
  };

  /** What is observed is how things are now, and nothing of before. */
  observed(observe: (record: Record) => void): void {
    this.#rows.clear();
    observe(this.add);
  }

  text(): string {
    const [name, rows] = [this.#name, [...this.#rows.values()]];
    if (rows.length === 0) return "";
    const lines = rows.flatMap((row) => {
      if (this.#type !== "histogram") return [line(name, row.labels, row.value)];
      const within = (le: string): string => `${row.labels}${row.labels && ","}le="${le}"`;
      return [
        ...this.#bounds.map((bound, i) =>
          line(`${name}_bucket`, within(String(bound)), row.counts[i]!)
        ),
        line(`${name}_bucket`, within("+Inf"), row.count),
        line(`${name}_sum`, row.labels, row.value),
        line(`${name}_count`, row.labels, row.count),
      ];
    });
    const about = this.#about.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
    return `# HELP ${name} ${about}\n# TYPE ${name} ${this.#type}\n${lines.join("")}`;
  }
}

/** All that is measured here. */
export class MetricBook implements Measures {
  readonly #all: { readonly metric: Metric; readonly observe?: (record: Record) => void }[] = [];

  /** What adds up. */
  counter(spec: MetricSpec): Record {
    const metric = new Metric(spec, "counter");
    this.#all.push({ metric });
    return metric.add;
  }

  /** How long, or how much, each was. */
  histogram(spec: MetricSpec): Record {
    const metric = new Metric(spec, "histogram");
    this.#all.push({ metric });
    return metric.record;
  }

  /** What is looked at when somebody asks. */
  gauge(spec: MetricSpec, observe: (record: Record) => void): () => void {
    const one = { metric: new Metric(spec, spec.isTotal === true ? "counter" : "gauge"), observe };
    this.#all.push(one);
    return () => void this.#all.splice(this.#all.indexOf(one), 1);
  }

  /** All of it, as it is now. */
  text(): string {
    for (const { metric, observe } of this.#all) {
      if (observe !== undefined) metric.observed(observe);
    }
    return this.#all.map(({ metric }) => metric.text()).join("");
  }
}

const OVERFLOW = 'overflow="true"';
/** Units by their signs in the conventions; those in braces say what is counted. */
const UNITS: { readonly [sign: string]: string } = { s: "_seconds", By: "_bytes" };

function nameOf(name: string, unit: string, type: Type): string {
  const plain = plainly(name);
  const end = UNITS[unit] ?? "";
  return `${plain}${plain.endsWith(end) ? "" : end}${type === "counter" ? "_total" : ""}`;
}

function plainly(name: string): string {
  return name.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=\d)/, "_");
}

function labelsOf(attributes: SignalAttributes): string {
  return Object.entries(attributes).map(([name, value]) => {
    const text = String(value).replaceAll("\\", "\\\\").replaceAll("\n", "\\n")
      .replaceAll('"', '\\"');
    return `${plainly(name.replace(/^libos\./, ""))}="${text}"`;
  }).sort().join(",");
}

function line(name: string, labels: string, value: number): string {
  return `${name}${labels === "" ? "" : `{${labels}}`} ${numberText(value)}\n`;
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
