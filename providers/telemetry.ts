/**
 * Signals to OpenTelemetry, through `@opentelemetry/api` and the exporter that Deno has built in.
 *
 * The API does nothing by itself: without `OTEL_DENO=true` whatever is recorded here goes nowhere.
 * @module
 */

import type { Context, Span, SpanContext } from "@opentelemetry/api";

/** The value of an attribute. */
export type SignalValue = string | number | boolean | string[];
/** Attributes of a span or of a measurement. */
export type SignalAttributes = { [name: string]: SignalValue };

/** Names a span, so that others can stand under it or be linked to it. */
export type SpanPlace = SpanContext;

/** Says that a span has to do with another, which it does not stand under. */
export interface SpanLink {
  readonly place: SpanPlace;
  readonly attributes: SignalAttributes;
}

/** A span that is not over. */
export interface OpenSpan {
  readonly place: SpanPlace;
  /** Runs `job` inside the span: what it fetches stands under it. */
  within<T>(job: () => T): T;
  /** Adds attributes. */
  set(attributes: SignalAttributes): void;
  /** Links it to another span. */
  link(link: SpanLink): void;
  /** Ends it; a code says that it failed. */
  end(atMs: number, failure?: string): void;
}

/** How a span begins. */
export interface SpanStart {
  readonly name: string;
  /** Whether it is a call to another system. */
  readonly isClient?: boolean;
  readonly atMs: number;
  /** What it stands under; a trace of its own without. */
  readonly under?: SpanPlace | undefined;
  readonly links?: readonly SpanLink[];
  readonly attributes: SignalAttributes;
}

/** How a measurement is called. */
export interface MetricSpec {
  readonly name: string;
  readonly unit: string;
  readonly about: string;
  /** Bounds of a histogram's buckets. */
  readonly bounds?: readonly number[];
  /** Of what is observed: whether it only rises. */
  readonly isTotal?: boolean;
}

/** Adds to a sum or to a histogram. */
export type Record = (value: number, attributes: SignalAttributes) => void;

/** Where measurements go. */
export interface Measures {
  counter(spec: MetricSpec): Record;
  histogram(spec: MetricSpec): Record;
  /** Calls `observe` whenever values are wanted; returns how to stop. */
  gauge(spec: MetricSpec, observe: (record: Record) => void): () => void;
}

/** Where signals go. */
export interface Signals extends Measures {
  begin(start: SpanStart): OpenSpan;
}

/** Two places at once. */
export function both(one: Measures, other: Measures): Measures {
  const kind = (name: "counter" | "histogram") => (spec: MetricSpec): Record => {
    const [first, second] = [one[name](spec), other[name](spec)];
    return (value, attributes) => {
      first(value, attributes);
      second(value, attributes);
    };
  };
  return {
    counter: kind("counter"),
    histogram: kind("histogram"),
    gauge: (spec, observe) => {
      const offs = [one.gauge(spec, observe), other.gauge(spec, observe)];
      return () => offs.forEach((off) => off());
    },
  };
}

const SCOPE = "agent-libos";
const VERSION = "0.1.0";

/** Opens the signals of this process. The API is loaded by the first call only. */
export async function openSignals(): Promise<Signals> {
  const api = await import("@opentelemetry/api");
  const tracer = api.trace.getTracer(SCOPE, VERSION);
  const meter = api.metrics.getMeter(SCOPE, VERSION);
  const options = ({ unit, about, bounds }: MetricSpec) => ({
    unit,
    description: about,
    ...(bounds === undefined ? {} : { advice: { explicitBucketBoundaries: [...bounds] } }),
  });
  const opened = (span: Span, context: Context): OpenSpan => ({
    place: span.spanContext(),
    within: (job) => api.context.with(context, job),
    set: (attributes) => void span.setAttributes(attributes),
    link: ({ place, attributes }) => void span.addLink({ context: place, attributes }),
    end(atMs, failure) {
      if (failure !== undefined) {
        span.setStatus({ code: api.SpanStatusCode.ERROR, message: failure });
      }
      // A date: a number could be taken for one since the process started.
      span.end(new Date(atMs));
    },
  });
  return {
    begin({ name, isClient, atMs, under, links, attributes }) {
      const parent = under === undefined
        ? api.ROOT_CONTEXT
        : api.trace.setSpanContext(api.ROOT_CONTEXT, under);
      const span = tracer.startSpan(name, {
        kind: isClient === true ? api.SpanKind.CLIENT : api.SpanKind.INTERNAL,
        startTime: new Date(atMs),
        attributes,
        links: (links ?? []).map(({ place, attributes }) => ({ context: place, attributes })),
      }, parent);
      return opened(span, api.trace.setSpan(api.ROOT_CONTEXT, span));
    },
    counter(spec) {
      const counter = meter.createCounter(spec.name, options(spec));
      return (value, attributes) => counter.add(value, attributes);
    },
    histogram(spec) {
      const histogram = meter.createHistogram(spec.name, options(spec));
      return (value, attributes) => histogram.record(value, attributes);
    },
    gauge(spec, observe) {
      const gauge = spec.isTotal === true
        ? meter.createObservableCounter(spec.name, options(spec))
        : meter.createObservableGauge(spec.name, options(spec));
      const callback: Parameters<typeof gauge.addCallback>[0] = (result) =>
        observe((value, attributes) => result.observe(value, attributes));
      gauge.addCallback(callback);
      return () => gauge.removeCallback(callback);
    },
  };
}
