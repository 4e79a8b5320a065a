/**
 * Bodies that a tier is known not to hold: the escape test asserts that they are exactly those that
 * it does not, so that what gets better shows as well as what gets worse.
 *
 * In a Worker of the kernel's process nothing ends code that keeps the processor (`terminate` does not
 * stop it), and memory that it fills is the kernel's.
 * @module
 */

import type { Tier } from "../../broker/sandbox.ts";

const NOT_HELD: Readonly<Record<Tier, readonly string[]>> = {
  process: [],
  jail: [],
  worker: [
    "logs nothing at all, without end",
    "logs without end, a line at a time",
    "is awake for ever when it has returned",
    "loops when it has returned",
    "loops when its result has been read",
    "clones a structure into itself",
    "fills a map with keys that are objects",
    "fills a weak map whose keys it keeps",
    "fills an array",
    "fills arrays of a size that is asked for at once",
    "fills memory in the toJSON of its result",
    "fills memory while a call is out",
    "fills typed arrays",
    "flattens ropes that share their halves",
    "gives an object keys until it is a dictionary, and on",
    "grows a buffer in place",
    "keeps BigInts",
    "keeps closures with what they close over",
    "keeps flat texts",
    "keeps formatters of the platform, whose memory is native",
    "keeps generators that have begun",
    "keeps promises that nobody resolves",
    "keeps what a regular expression matched",
    "logs a text of half a gigabyte",
    "makes shapes of objects without end",
    "queues jobs without doing any",
    "registers symbols",
    "rejects promises that nobody heeds",
    "throws an error with a message of half a gigabyte",
    "awaits an asynchronous generator without end",
    "backtracks in a look-behind",
    "backtracks in a regular expression",
    "backtracks in a split",
    "compares long texts in a locale",
    "cuts a long text into words",
    "doubles the queue of jobs until it is stopped",
    "fills and copies within a typed array",
    "generates without end and collects it",
    "joins an array whose length is a lie",
    "keeps the queue of jobs full",
    "looks in a long text for what is almost there",
    "loops",
    "loops before it is a tool",
    "loops in a getter of its result",
    "loops in a timer",
    "loops in a trap while its keys are read",
    "loops in the toJSON of its result",
    "loops when a timer's time is made a number",
    "loops when an argument of a call is read",
    "loops when what it logs is shown",
    "loops when what it throws is described",
    "loops while a call is out",
    "makes JSON text and reads it, without end",
    "makes a text of an array that holds itself many times",
    "multiplies BigInts of millions of digits",
    "normalizes a text of combining marks in the worst order",
    "normalizes a text that grows eighteenfold",
    "raises a BigInt to a power",
    "reads a BigInt of millions of digits",
    "replaces with a sticky expression over a long text",
    "resolves a promise with thenables without end",
    "says that its result has keys without number",
    "sorts as texts what is slow to be a text",
    "sorts by a comparator that answers anything",
    "sorts numbers without a comparator",
    "writes a BigInt in decimal",
    "tries to bring its isolate down with odd uses of the engine",
    "compiles expressions that are large when they are compiled",
    "matches sets of texts by the newest flag",
    "maps helpers of iterators over what has no end",
    "counts days between the ends of time",
    "takes addresses apart that are long in each way",
    "is told in hexadecimal what it holds",
    "keeps a million templates and private names",
    "joins signals without end, and listens to all",
  ],
};

/** Tiers in which the bodies were tried when the table was written. Add one when it was. */
export const TRIED: readonly Tier[] = ["process", "jail", "worker"];

/** What a tier holds at some times and not at others: near a limit of memory or time. */
const UNSTEADY: Readonly<Record<Tier, readonly string[]>> = {
  process: [],
  jail: [],
  worker: [
    "gives a result as deep as it may be, many times over",
    "logs an endless number of values at once",
    "logs empty lines up to the limit",
    "finds memory that nobody has cleared",
    "gives a result that is deeper than the stack",
  ],
};

/** Names of the bodies that a tier holds at some times only; they count as not held. */
export function unsteady(tier: Tier): ReadonlySet<string> {
  return new Set(UNSTEADY[tier]);
}

/** Names of the bodies that a tier is known not to hold, or not always. */
export function notHeld(tier: Tier): ReadonlySet<string> {
  return new Set([...NOT_HELD[tier], ...UNSTEADY[tier]]);
}
