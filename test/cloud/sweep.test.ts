import { paginateListTables } from "@aws-sdk/client-dynamodb";
import { ListStreamsCommand } from "@aws-sdk/client-kinesis";
import { ListBucketsCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, it } from "vitest";
import { openCloud } from "./resources.js";
import { sweep } from "./sweep.js";

describe("what a run leaves is removed", () => {
  const [ours, theirs] = [openCloud(), openCloud()];
  afterAll(() => {
    for (const { clients } of [ours, theirs]) clients.destroy();
  });

  const streamNames = async (): Promise<readonly string[]> => {
    const names: string[] = [];
    for (;;) {
      const from = names.length === 0 ? {} : { ExclusiveStartStreamName: names.at(-1) };
      const { StreamNames = [], HasMoreStreams } = await ours.clients.kinesis.send(new ListStreamsCommand(from));
      names.push(...StreamNames);
      if (HasMoreStreams !== true) return names;
    }
  };

  const tableNames = async (): Promise<readonly string[]> => {
    const names: string[] = [];
    for await (const { TableNames = [] } of paginateListTables({ client: ours.clients.dynamo }, {}))
      names.push(...TableNames);
    return names;
  };

  const names = async (): Promise<ReadonlySet<string | undefined>> => {
    const [tables, streams, { Buckets = [] }] = await Promise.all([
      tableNames(),
      streamNames(),
      ours.clients.s3.send(new ListBucketsCommand({})),
    ]);
    return new Set([...tables, ...streams, ...Buckets.map(({ Name }) => Name)]);
  };

  const make = async (cloud: typeof ours): Promise<readonly string[]> => {
    const bucket = await cloud.createBucket();
    for (const Key of ["a", "b/c", "ä"])
      await cloud.clients.s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "x" }));
    return [bucket, await cloud.createStream(1), await cloud.createTable([{ name: "id", type: "string" }])];
  };

  it("by its prefix, with all that is in it, and nothing of others", async () => {
    const [mine, others] = [await make(ours), await make(theirs)];
    const prefix = mine[0]?.replace(/bucket-1$/, "") ?? "";
    expect([...(await sweep(ours.clients, prefix))].sort()).toEqual([...mine].sort());
    // A stream or a table may take a while to go.
    await expect
      .poll(names, { timeout: 120_000 })
      .toSatisfy((left: ReadonlySet<string>) => mine.every((one) => !left.has(one)));
    const left = await names();
    expect(others.every((one) => left.has(one))).toBe(true);
    expect(await sweep(ours.clients, prefix)).toEqual([]);
  });

  it("never without a prefix", async () => {
    await expect(sweep(ours.clients, "")).rejects.toThrow("too short");
  });
});
