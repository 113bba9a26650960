import { storedExchange } from "../../lib/checkpoint/exchange.js";
import { checkpointId, type Generation } from "../../lib/model/ids.js";
import type { Clock } from "../../lib/ports/clock.js";
import type { Exchange } from "../../lib/ports/exchange.js";
import type { EdgeInput } from "../../lib/runtime/edge-input.js";
import { SliceReader } from "../../lib/runtime/frame-reader.js";
import { LaneNews } from "../../lib/runtime/lane-news.js";
import type { RecordView } from "../../lib/runtime/record-view.js";
import { memoryBlobs } from "../../lib/testing/memory/blobs.js";
import { memoryRegisters } from "../../lib/testing/memory/registers.js";
import { virtualClock } from "./runtime-world.js";

export const incarnation = "0a0b0c0d0e0f";
/** Where every record of these tests is from. */
export const place: RecordView = {
  source: "in",
  shard: "s",
  sequenceNumber: "1",
  subSequenceNumber: null,
  arrivedAt: null,
  data: new Uint8Array(),
};

export function memoryExchange() {
  const clock = virtualClock();
  const { registers } = memoryRegisters();
  const { blobs } = memoryBlobs();
  return { clock, exchange: storedExchange({ pipeline: "p", registers, blobs, clock }) };
}

/** The values of all frames that were read and may be taken, in the order in which they are. */
export function takeRead(input: EdgeInput, epochMax = Number.POSITIVE_INFINITY): readonly string[] {
  const taken: string[] = [];
  for (let frame = input.take(checkpointId(epochMax)); frame !== null; frame = input.take(checkpointId(epochMax))) {
    for (const { slice, bytes } of frame.slices) {
      const reader = new SliceReader(input.edge, bytes, slice, frame.range.keyGroups);
      while (reader.next()) taken.push(String(reader.value));
    }
  }
  return taken;
}

const never = new AbortController().signal;

/** What a session does for an edge: looks at what is there, and asks what is there by now. */
export function pumping(input: EdgeInput, exchange: Exchange, clock: Clock, generation: Generation) {
  const news = new LaneNews(exchange, clock, { incarnation, generation });
  return (): readonly Promise<void>[] => {
    const looks = input.pump();
    const asked = news.ask([input], never);
    return asked === null ? looks : [...looks, asked];
  };
}
