/**
 * The port: what one call of a tool costs there and back, without what the call itself does.
 * @module
 */

import { BareEcho } from "./cage_peers.ts";
import {
  freshTenant,
  onRuntime,
  play,
  runOf,
  type Stand,
  standOf,
  type ToolCall,
} from "./cage_stand.ts";
import { infoRow, type Pair, pairedRow, type Row, timed, timeRow, times } from "./measure.ts";
import { freshText } from "./stage.ts";

const TURNS = 16;
const TRIPS = 300;
/** Trips at the beginning of a turn, which are not counted. */
const TRIPS_WARM = 40;
const AT_ONCE = 16;
const DOOR_CALLS = 200;
const BYTES = 1_024;

/** Makes calls one after another, and then `width` at a time. */
const CALLER = `export default async ({ n, width, text }, os) => {
  if (width === 1) for (let i = 0; i < n; i++) await os.call("bench.echo", { text });
  const one = async () => {
    for (let i = 0; i < n / width; i++) await os.call("bench.echo", { text });
  };
  if (width > 1) await Promise.all(Array.from({ length: width }, one));
  return { n };
};`;
const ASKER = `export default async ({ n }, os) => {
  for (let i = 0; i < n; i++) await os.clock.now();
  return { n };
};`;

/** From one call to the next: its answer goes there, and the next call comes back. */
async function caged(stand: Stand, tenant: string, width: number): Promise<number[]> {
  const text = freshText(BYTES);
  const heard: number[] = [];
  await play(
    stand.sandbox,
    runOf(tenant, CALLER, {
      input: { n: TRIPS, width, text },
      call: (_, args) => {
        heard.push(performance.now());
        return Promise.resolve({ ok: true, reply: args, atMs: 0 });
      },
    }),
  );
  const from = heard.slice(TRIPS_WARM);
  if (width > 1) return [(from.at(-1)! - from[0]!) / (from.length - 1)];
  return from.slice(1).map((ms, i) => ms - from[i]!);
}

/** The same, and after each trip one of a bare echo: what slows one slows the other. */
async function paired(stand: Stand, tenant: string, echo: BareEcho): Promise<Pair[]> {
  const text = freshText(BYTES);
  const pairs: Pair[] = [];
  let sinceMs = 0;
  await play(
    stand.sandbox,
    runOf(tenant, CALLER, {
      input: { n: TRIPS, width: 1, text },
      call: async (_, args) => {
        const ms = performance.now() - sinceMs;
        pairs.push({ ms, rawMs: await timed(() => echo.echo(text)) });
        sinceMs = performance.now();
        return { ok: true, reply: args, atMs: 0 };
      },
    }),
  );
  return pairs.slice(TRIPS_WARM);
}

/** A call that the door answers, shared out over many in one run. */
async function door(): Promise<number[]> {
  const each: number[] = [];
  const stand = standOf("process", true);
  await onRuntime(stand.sandbox, ASKER, [async (call: ToolCall) => {
    for (let turn = 0; turn < TURNS; turn++) {
      const none = await timed(() => call({ n: 0 }));
      const many = await timed(() => call({ n: DOOR_CALLS }));
      if (turn > 2) each.push((many - none) / DOOR_CALLS);
    }
  }]);
  return each;
}

/**
 * Round trips of the port, alone and by turns with bare ones. The bare echo is what one writes who
 * wants a Worker in a child; the shortest goes the way of a cage's relay, and does nothing else.
 */
export async function portRows(): Promise<Row[]> {
  await using stand = standOf("process", false);
  await using inProcess = standOf("worker", false);
  await using plain = new BareEcho("plain");
  await using short = new BareEcho("short");
  const tenant = freshTenant();
  const trips: number[] = [];
  const wide: number[] = [];
  const near: number[] = [];
  const besidePlain: Pair[] = [];
  const besideShort: Pair[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    const some = [await caged(stand, tenant, 1), await caged(stand, tenant, AT_ONCE)];
    const more = await caged(inProcess, tenant, 1);
    const pairs = [await paired(stand, tenant, plain), await paired(stand, tenant, short)];
    if (turn < 2) continue;
    trips.push(...some[0]!);
    wide.push(...some[1]!);
    near.push(...more);
    besidePlain.push(...pairs[0]!);
    besideShort.push(...pairs[1]!);
  }
  return [
    timeRow("port, 1 KB there and 1 KB back", times(trips), 0.25),
    pairedRow("the same, by turns with a bare echo through Worker and pipe", besidePlain, 1.3),
    pairedRow("the same, by turns with the shortest such echo", besideShort, null),
    infoRow(`the same, ${AT_ONCE} at a time: each`, times(wide)),
    infoRow("the same in the worker tier", times(near)),
    infoRow("clock.now through the port and the whole door", times(await door())),
  ];
}
