import { gunzipSync } from "node:zlib";
import type { KeyGroups } from "../../lib/model/checkpoints.js";
import type { FrameSlice } from "../../lib/model/frames.js";
import { millis } from "../../lib/model/ids.js";
import type { Key } from "../../lib/model/keys.js";
import { SliceReader } from "../../lib/runtime/frame-reader.js";
import type { EncodedFrame, FrameWriter } from "../../lib/runtime/frame-writer.js";
import type { RecordView } from "../../lib/runtime/record-view.js";

export const allGroups: KeyGroups = [0, 127];

export interface Place {
  readonly source: string;
  readonly shard: string;
  readonly sequenceNumber: string;
  readonly subSequenceNumber: number | null;
  readonly arrivedAt: number | null;
}

/** A record as it is sent. */
export interface Sent {
  readonly key: Key;
  readonly input: 0 | 1;
  readonly value: unknown;
  readonly place: Place;
}

export const place = (over: Partial<Place> = {}): Place => ({
  source: "in",
  shard: "shardId-000000000000",
  sequenceNumber: "49590338271490256608559692538361571095921575989136588898",
  subSequenceNumber: null,
  arrivedAt: 1_700_000_000_000,
  ...over,
});

export const sent = (key: Key, value: unknown, over: Partial<Place> & { readonly input?: 0 | 1 } = {}): Sent => {
  const { input = 0, ...of } = over;
  return { key, input, value, place: place(of) };
};

const viewOf = (of: Place): RecordView => ({
  ...of,
  arrivedAt: of.arrivedAt === null ? null : millis(of.arrivedAt),
  data: new Uint8Array(),
});

export function addAll(writer: FrameWriter, records: readonly Sent[]): void {
  for (const { key, input, value, place: at } of records) writer.add(key, input, value, viewOf(at));
}

/** The bytes of a slice, as the exchange gives them. */
export function sliceBytes(frame: Pick<EncodedFrame, "bytes">, slice: FrameSlice): Uint8Array {
  const stored = (frame.bytes ?? new Uint8Array()).subarray(slice.offset, slice.offset + slice.length);
  return slice.codec === "cbor" ? stored : gunzipSync(stored);
}

const copyOf = ({ source, shard, sequenceNumber, subSequenceNumber, arrivedAt }: RecordView): Place => ({
  source,
  shard,
  sequenceNumber,
  subSequenceNumber,
  arrivedAt,
});

export function readAll(edge: string, frame: EncodedFrame, wanted: KeyGroups = allGroups): Sent[] {
  return frame.slices.flatMap((slice) => {
    const reader = new SliceReader(edge, sliceBytes(frame, slice), slice, wanted);
    const found: Sent[] = [];
    while (reader.next()) {
      found.push({ key: reader.key, input: reader.input, value: reader.value, place: copyOf(reader.record) });
    }
    return found;
  });
}
