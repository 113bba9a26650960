// What a reader of a sink's target sees, and when: asked again and again, beside the pipeline.
import { GetItemCommand, ScanCommand } from "@aws-sdk/client-dynamodb";
import { GetRecordsCommand, GetShardIteratorCommand, ListShardsCommand } from "@aws-sdk/client-kinesis";
import { GetObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import pg from "pg";
import { dedupe, emptyDedupe } from "../../dist/index.js";
import { places } from "./places.mjs";

/** Between an answer and the next question. */
const pauseMs = 20;
/** Of several the one that comes most often. */
const watched = "FXW";

/**
 * Watches until it is told to end.
 *
 * @param {object} reader one of `readers`
 * @returns {{ put: (origin: string, at: number) => void, end: () => Promise<{ millis: number[], total: number }> }} `put`: tell it of
 *   each record. `millis`: how long records took until they were seen. `total`: how many the target has
 */
export function watch({ look, total, close = async () => undefined }) {
  const [times, millis] = [[], []];
  let count = 0;
  let over = false;
  /** `flights`: so many of the watched airport are counted by now, in the order in which they came. `ats`: these are new. */
  const saw = ({ flights = count, ats = [] }) => {
    const now = performance.now();
    for (; count < flights; count++) millis.push(now - times[count]);
    for (const at of ats) millis.push(now - at);
  };
  const watching = (async () => {
    for (let last = false; !last; ) {
      last = over;
      saw(await look());
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  })();
  watching.catch(() => undefined);
  return {
    put(origin, at) {
      if (origin === watched) times.push(at);
    },
    async end() {
      over = true;
      try {
        await watching;
        return { millis, total: await total() };
      } finally {
        await close();
      }
    },
  };
}

/** By what a target is. */
export const readers = { table: tableReader, bucket: bucketReader, stream: streamReader, database: databaseReader };

async function tableReader({ dynamo }) {
  const TableName = places.target;
  return {
    async look() {
      const Key = { airport: { S: watched } };
      const { Item } = await dynamo.send(new GetItemCommand({ TableName, Key, ConsistentRead: true }));
      return { flights: Number(Item?.flights.N ?? 0) };
    },
    async total() {
      // Marks of counters have none.
      const FilterExpression = "attribute_exists(flights)";
      const { Items = [] } = await dynamo.send(new ScanCommand({ TableName, FilterExpression, ConsistentRead: true }));
      return Items.reduce((sum, { flights }) => sum + Number(flights.N), 0);
    },
  };
}

async function databaseReader(_clients, url) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const numberOf = async (sql, values) => Number((await client.query(sql, values)).rows[0]?.n ?? 0);
  return {
    look: async () => ({
      flights: await numberOf(`select flights as n from "${places.target}" where airport = $1`, [watched]),
    }),
    total: () => numberOf(`select sum(flights) as n from "${places.target}"`, []),
    close: () => client.end(),
  };
}

async function bucketReader({ s3 }) {
  const Bucket = places.target;
  // Names sort by checkpoint. What is staged has another.
  const Prefix = `${places.prefix}/target-`;
  const numbers = new Set();
  let StartAfter = Prefix;
  const rowsOf = async ({ Key }) => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
    return (await Body.transformToString())
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  };
  return {
    async look() {
      const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket, Prefix, StartAfter }));
      StartAfter = Contents.at(-1)?.Key ?? StartAfter;
      return { ats: taken(numbers, (await Promise.all(Contents.map(rowsOf))).flat()) };
    },
    total: async () => numbers.size,
  };
}

async function streamReader({ kinesis }) {
  const StreamName = places.target;
  const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName }));
  const opened = Shards.map(async ({ ShardId }) => {
    const begin = { StreamName, ShardId, ShardIteratorType: "TRIM_HORIZON" };
    const { ShardIterator } = await kinesis.send(new GetShardIteratorCommand(begin));
    return { iterator: ShardIterator, state: emptyDedupe };
  });
  const shards = await Promise.all(opened);
  const numbers = new Set();
  const read = async (shard) => {
    const rows = [];
    const { Records = [], NextShardIterator } = await kinesis.send(
      new GetRecordsCommand({ ShardIterator: shard.iterator }),
    );
    shard.iterator = NextShardIterator;
    for (const { Data } of Records) {
      const { state, fresh, payload } = dedupe(shard.state, Data);
      shard.state = state;
      if (fresh) rows.push(JSON.parse(Buffer.from(payload).toString()));
    }
    return rows;
  };
  return {
    look: async () => ({ ats: taken(numbers, (await Promise.all(shards.map(read))).flat()) }),
    total: async () => numbers.size,
  };
}

/** @throws Error where one comes twice */
function taken(numbers, rows) {
  for (const { n } of rows) {
    if (numbers.has(n)) throw new Error(`record ${n} is in the target twice`);
    numbers.add(n);
  }
  return rows.map(({ at }) => at);
}
