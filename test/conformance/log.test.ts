import { CreateStreamCommand, DescribeStreamCommand } from "@aws-sdk/client-kinesis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, test, vi } from "vitest";
import { fileLog } from "../../lib/connectors/file-log.js";
import { millis } from "../../lib/model/ids.js";
import { logConformance } from "../../lib/testing/conformance/log.js";
import type { OpenLog } from "../../lib/testing/conformance/log-case.js";
import { memoryFiles } from "../../lib/testing/memory/files.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { type Cloud, openCloud } from "./aws-cloud.js";
import { openKinesisLog } from "./kinesis-streams.js";

describe("a log in memory", () => {
  logConformance(test, async () => {
    let now = millis(1_700_000_000_123);
    const { log, control } = memoryLog({ now: () => now });
    let names = 0;
    return {
      log,
      async createStream(shardCount) {
        names += 1;
        control.createStream(`stream-${names}`, shardCount);
        return `stream-${names}`;
      },
      put: async (stream, key, data) => control.put(stream, key, data),
      split: async (stream, shardId) => void control.split(stream, shardId),
      merge: async (stream, first, second) => void control.merge(stream, first, second),
      async passTime(length) {
        now = millis(now + length);
      },
    };
  });
});

describe("a file as a log", () => {
  logConformance(
    test,
    async () => {
      const { files } = memoryFiles();
      const refused = async () =>
        Promise.reject(new Error("a file has no shards to split or merge, and knows no time"));
      let names = 0;
      return {
        log: fileLog(files),
        async createStream() {
          const path = `in-${++names}.jsonl`;
          await files.write(path, 0, new Uint8Array(0));
          return path;
        },
        async put(path, _key, data) {
          const { size = 0 } = (await files.stat(path)) ?? {};
          await files.write(path, size, Buffer.concat([data, Buffer.from("\n")]));
          return { shardId: "lines", sequenceNumber: String(size) };
        },
        split: refused,
        merge: refused,
        passTime: refused,
      };
    },
    { streams: "a file is one shard, and nobody adds to it while it is read" },
  );
});

describe("a log in Kinesis", () => {
  let cloud: Cloud;
  beforeAll(async () => {
    cloud = await openCloud();
  });
  afterAll(() => cloud.close());
  // The embedded cloud runs in this process, so that its clock can be set forward; timers stay as they are.
  beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], shouldAdvanceTime: true, now: Date.now() }));
  afterEach(() => void vi.useRealTimers());
  logConformance(test, async () => openLog(cloud));
});

function openLog({ clients, fresh }: Cloud): OpenLog {
  const { kinesis } = clients;
  const untilActive = async (StreamName: string) => {
    for (;;) {
      const { StreamDescription } = await kinesis.send(new DescribeStreamCommand({ StreamName }));
      if (StreamDescription?.StreamStatus === "ACTIVE") return;
    }
  };
  return openKinesisLog(kinesis, {
    async create(ShardCount) {
      const StreamName = fresh("stream");
      await kinesis.send(new CreateStreamCommand({ StreamName, ShardCount }));
      await untilActive(StreamName);
      return StreamName;
    },
    untilActive,
    async passTime(length) {
      vi.setSystemTime(Date.now() + length);
    },
  });
}
