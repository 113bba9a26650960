import { storedExchange } from "../../lib/checkpoint/exchange.js";
import { frameKey, noteName } from "../../lib/checkpoint/names.js";
import type { CheckpointStore } from "../../lib/checkpoint/store.js";
import type { Ack, KeyGroups, Manifest, Range } from "../../lib/model/checkpoints.js";
import type { FrameSlice } from "../../lib/model/frames.js";
import type { GenerationRecord } from "../../lib/model/head.js";
import { checkpointId, type Generation, sessionId, type TaskId, taskId } from "../../lib/model/ids.js";
import { intersection, keyGroupsOf } from "../../lib/model/key-ranges.js";
import { sha256 } from "../../lib/model/sha256.js";
import type { Random } from "../../lib/testing/seeded/random.js";
import { incarnation } from "./checkpoint-samples.js";
import type { Life } from "./garbage-world.js";

/** Tasks of a stage that sends, and of one that takes. */
export interface Shape {
  readonly producers: number;
  readonly consumers: number;
}

export type Channel =
  | { readonly kind: "producer"; readonly place: number; sent: number; moved: boolean }
  | { readonly kind: "consumer"; readonly keyGroups: KeyGroups; expected: readonly Range[]; moved: boolean };

/** One name for all: lanes of an edge. */
export const edge = "count";

export const stagesOf = (shape: Shape | null): Partial<GenerationRecord> =>
  shape === null
    ? {}
    : {
        stages: [
          { name: "sources", tasks: shape.producers, operators: [] },
          { name: edge, tasks: shape.consumers, operators: [edge] },
        ],
      };

/** E3, E4: the tasks of a generation, and what each of them expects. Written from the rules, not with the code. */
export function placesOf({ producers, consumers }: Shape, generation: Generation, origin: Manifest | null) {
  const places: { readonly task: TaskId; readonly channel: Channel }[] = [];
  for (let index = 0; index < producers; index++)
    places.push({ task: taskId(0, index), channel: { kind: "producer", place: index, sent: 0, moved: true } });
  for (let index = 0; index < consumers; index++) {
    const keyGroups = keyGroupsOf(index, consumers);
    const expected: Range[] = [];
    for (const range of origin === null ? [] : expectedBy(origin)) {
      const shared = intersection(range.keyGroups, keyGroups);
      if (shared !== null) expected.push({ ...range, keyGroups: shared });
    }
    for (let producer = 0; producer < producers; producer++)
      expected.push({ edge, generation, producer, from: 1, to: null, keyGroups });
    expected.sort((a, b) => a.generation - b.generation);
    places.push({ task: taskId(1, index), channel: { kind: "consumer", keyGroups, expected, moved: true } });
  }
  return places;
}

/** E3: what a restore from the checkpoint will read. */
export function expectedBy(manifest: Manifest): readonly (Range & { readonly to: number })[] {
  const closed: (Range & { readonly to: number })[] = [];
  for (const range of manifest.tasks.flatMap(({ expected }) => expected)) {
    const to = range.to ?? manifest.tasks[range.producer]?.sent[edge] ?? 0;
    if (range.from <= to) closed.push({ ...range, to });
  }
  return closed;
}

export const acked = (channel: Channel | null): Partial<Ack> => {
  if (channel === null) return {};
  channel.moved = false;
  return channel.kind === "producer"
    ? { sent: { [edge]: channel.sent } }
    : { keyGroups: channel.keyGroups, expected: channel.expected };
};

export interface PutFrame {
  readonly generation: number;
  readonly producer: number;
  readonly n: number;
  readonly note: string;
  readonly object: string | null;
}

/** What goes over the edge. */
export function trafficOf(store: CheckpointStore, random: Random) {
  const exchange = storedExchange(store);
  const frames = new Map<string, PutFrame>();
  const sent = new Map<string, number>();
  const orphans = new Map<string, { readonly generation: number; readonly note: string }>();
  let session = 0;

  async function send(life: Life, channel: Extract<Channel, { readonly kind: "producer" }>): Promise<void> {
    const lane = { incarnation, generation: life.generation, edge, producer: channel.place };
    const n = channel.sent + 1;
    const by = sessionId(`f${++session}`);
    const key = frameKey("p", lane, n, by);
    // The session died after the frame and before its note; the generation goes on only where the task comes again.
    if (random.chance(0.05)) {
      await store.blobs.put(frameKey("p", lane, n, sessionId(`x${session}`)), random.bytes(10));
      orphans.set(frameKey("p", lane, n, sessionId(`x${session}`)), {
        generation: life.generation,
        note: noteName(lane, n),
      });
    }
    const made = random.chance(0.2) ? null : frameOf(random);
    const frame = { n, epoch: checkpointId(1), session: by };
    await exchange.put(lane, { ...frame, ...(made ?? { bytes: null, slices: [], records: 0 }) });
    channel.sent = n;
    channel.moved = true;
    const object = made !== null && made.bytes.length > 4_096 ? key : null;
    const name = { generation: life.generation, producer: channel.place, n };
    frames.set(placeOf(name), { ...name, note: noteName(lane, n), object });
    sent.set(`${life.generation}/${channel.place}`, n);
  }

  /** E2: of the oldest generation only, as long as it has one left. */
  function take(channel: Extract<Channel, { readonly kind: "consumer" }>, most: number): void {
    for (let i = 0; i < most; i++) {
      const oldest = channel.expected[0]?.generation;
      const ready = channel.expected.filter(
        (range) => range.generation === oldest && range.from <= (range.to ?? sentBy(range)),
      );
      if (ready.length === 0) return;
      const range = random.pick(ready);
      const next = { ...range, from: range.from + 1 };
      channel.moved = true;
      channel.expected = channel.expected
        .map((one) => (one === range ? next : one))
        .filter(({ from, to }) => to === null || from <= to);
    }
  }

  const sentBy = ({ generation, producer }: Range): number => sent.get(`${generation}/${producer}`) ?? 0;

  return {
    /** Frames without a note. */
    orphans,
    frames,
    moved: ({ channel }: Life): boolean => channel?.moved === true,
    async flow(lives: readonly Life[]): Promise<void> {
      for (const life of lives) {
        const { channel } = life;
        if (channel?.kind === "producer") for (let i = random.int(4); i > 0; i--) await send(life, channel);
        else if (channel?.kind === "consumer") take(channel, random.int(8));
      }
    },
    /** B2: an aligned cut leaves nothing in the channels. */
    drain(lives: readonly Life[]): void {
      for (const { channel } of lives) if (channel?.kind === "consumer") take(channel, Number.MAX_SAFE_INTEGER);
    },
    /** Those that were put, of what is expected. */
    within: (ranges: readonly Range[]): readonly PutFrame[] =>
      ranges.flatMap(({ generation, producer, from, to }) => {
        const found: PutFrame[] = [];
        for (let n = from; n <= (to ?? sent.get(`${generation}/${producer}`) ?? 0); n++) {
          const frame = frames.get(placeOf({ generation, producer, n }));
          if (frame === undefined) throw new Error(`frame ${n} of ${generation}/${producer} was never put`);
          found.push(frame);
        }
        return found;
      }),
  };
}

const placeOf = ({ generation, producer, n }: Pick<PutFrame, "generation" | "producer" | "n">): string =>
  `${generation}/${producer}/${n}`;

/** A frame with two parts; some are too long for their notes. */
export function frameOf(random: Random, length = random.pick([40, 3_000, 6_000])) {
  const bytes = random.bytes(length);
  const half = length / 2;
  const slice = (keyGroups: KeyGroups, offset: number): FrameSlice => ({
    keyGroups,
    offset,
    length: half,
    records: 2,
    codec: "cbor",
    sha256: sha256(bytes.subarray(offset, offset + half)),
  });
  return { bytes, slices: [slice([0, 63], 0), slice([64, 127], half)], records: 4 };
}
