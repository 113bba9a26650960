import { afterAll, beforeAll, describe, test } from "vitest";
import { kinesisLog } from "../../lib/connectors/kinesis-log.js";
import { kinesisStreams } from "../../lib/connectors/kinesis-streams.js";
import { systemClock } from "../../lib/ports/clock.js";
import { streamsConformance } from "../../lib/testing/conformance/streams.js";
import { faulty } from "../../lib/testing/faults/faulty.js";
import { noCallFaults } from "../../lib/testing/faults/rates.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { type Cloud, openCloud } from "./aws-cloud.js";
import { allRecords, makeStream } from "./written-streams.js";

function inMemory() {
  const memory = memoryLog(systemClock);
  let names = 0;
  return {
    streams: memory.streams,
    async createStream(shards: number) {
      names += 1;
      memory.control.createStream(`stream-${names}`, shards);
      return `stream-${names}`;
    },
    records: (stream: string) => allRecords(memory.log, stream),
  };
}

describe("streams in memory", () => {
  streamsConformance(test, async () => inMemory());
});

describe("streams behind faults that are switched off", () => {
  streamsConformance(test, async () => {
    const { streams, ...rest } = inMemory();
    return { ...rest, ...faulty({ streams }, { seed: 1, rates: noCallFaults }).world };
  });
});

describe("streams of Kinesis", () => {
  let cloud: Cloud;
  beforeAll(async () => {
    cloud = await openCloud();
  });
  afterAll(() => cloud.close());

  streamsConformance(test, async () => ({
    streams: kinesisStreams(cloud.clients.kinesis),
    createStream: (shards) => makeStream(cloud, shards),
    records: (stream) => allRecords(kinesisLog(cloud.clients.kinesis), stream),
  }));
});
