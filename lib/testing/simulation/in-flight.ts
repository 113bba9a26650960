import { storedExchange } from "../../checkpoint/exchange.js";
import { frameKey, noteName } from "../../checkpoint/names.js";
import type { Manifest, Range } from "../../model/checkpoints.js";
import type { Lane, Note } from "../../model/frames.js";
import { intersection } from "../../model/key-ranges.js";
import type { Clock } from "../../ports/clock.js";
import { SliceReader } from "../../runtime/frame-reader.js";
import type { Cloud } from "./cloud.js";

/** What a checkpoint says is under way (E3): by edge the numbers of the records, and what holds them. */
export interface InFlight {
  readonly numbers: ReadonlyMap<string, readonly number[]>;
  /** Keys of objects. */
  readonly objects: readonly string[];
  /** Names of items. */
  readonly items: readonly string[];
}

/** Never asked: the services in memory answer at once. */
const noClock: Clock = {
  now: () => 0 as never,
  sleep: async () => undefined,
  random: (bytes) => new Uint8Array(bytes),
};

/** Reads every frame that the checkpoint names, each for the key groups for which it is named. @throws where one is gone */
export async function inFlightOf(cloud: Cloud, manifest: Manifest): Promise<InFlight> {
  const store = {
    pipeline: manifest.pipeline,
    registers: cloud.registers.registers,
    blobs: cloud.blobs.blobs,
    clock: noClock,
  };
  const exchange = storedExchange(store);
  const numbers = new Map<string, number[]>();
  const objects = new Set<string>();
  const items = new Set<string>();
  for (const range of manifest.tasks.flatMap((ack) => ack.expected)) {
    const lane: Lane = { ...range, incarnation: manifest.incarnation };
    const last = lastOf(manifest, range);
    for (let n = range.from; n <= last; n++) {
      const [note] = await exchange.notes(lane, n, 1);
      if (note === undefined) throw new Error(`E3: ${noteName(lane, n)} is named and is not there`);
      items.add(noteName(lane, n));
      if (note.body?.kind === "object") objects.add(frameKey(manifest.pipeline, lane, n, note.session));
      for (const number of await numbersIn(exchange, note, range)) add(numbers, range.edge, number);
    }
  }
  return { numbers, objects: [...objects], items: [...items] };
}

/** Of an open range: what its producer had sent at its cut. */
export const lastOf = (manifest: Manifest, { to, edge, producer }: Range): number =>
  to ?? manifest.tasks[producer]?.sent[edge] ?? 0;

async function numbersIn(
  exchange: ReturnType<typeof storedExchange>,
  note: Note,
  { edge, keyGroups }: Range,
): Promise<readonly number[]> {
  const found: number[] = [];
  for (const slice of note.slices) {
    if (intersection(slice.keyGroups, keyGroups) === null) continue;
    const reader = new SliceReader(edge, await exchange.read(note, slice), slice, keyGroups);
    while (reader.next()) found.push(numberOf(reader.value));
  }
  return found;
}

/** Of a record, or of the sum that is made of it. */
function numberOf(value: unknown): number {
  const { n, sum } = value as { readonly n?: number; readonly sum?: number };
  return n ?? sum ?? 0;
}

function add(to: Map<string, number[]>, edge: string, number: number): void {
  const before = to.get(edge);
  if (before === undefined) to.set(edge, [number]);
  else before.push(number);
}
