// What a million records cost in requests at list price, for each sink and at several rates, beside a trigger that keeps each record
// from counting twice by an item of its own; and how long a record takes until a reader of the target sees it.
import { runScript } from "./children.mjs";
import { openCloud } from "./cloud/open-cloud.mjs";
import { priceOf } from "./cloud/prices.mjs";
import { fixed, table, whole } from "./figures.mjs";
import { catalog, triggerPerMillion } from "./sinks/catalog.mjs";
import { startDatabase } from "./sinks/database.mjs";
import { feed } from "./sinks/feed.mjs";
import { places } from "./sinks/places.mjs";
import { readers, watch } from "./sinks/watch.mjs";

const rates = [100, 1_000];
/** Of each sink at each rate. */
const secondsByDefault = 50;
/** Of a pipeline that is awake, and to which nothing comes. */
const quiet = { seconds: 40, secondsShort: 2, sink: "held", records: 100, perSecond: 100 };
/** As it is where nobody says otherwise. */
const intervalByDefault = "10s";
/** Where few records are asked for: they come in so many seconds, ten puts in each. */
const short = { seconds: 6, puts: 10, interval: "1s" };
const shards = 2;
const timeoutMs = 6 * 60_000;
/** For counts by key: at most so much of what the trigger costs. */
const target = 0.1;
const million = 1e6;

/** What a sink writes to. */
const kinds = {
  held: "table",
  eager: "table",
  counters: "table",
  postgres: "database",
  files: "bucket",
  stream: "stream",
};

/** With `records` so many of each sink, at one rate. */
export async function run({ records, say }) {
  const database = await startDatabase();
  const results = [];
  let awake;
  try {
    say("awake, and nothing comes");
    const seconds = records === null ? quiet.seconds : quiet.secondsShort;
    awake = awakeOf(await runSink({ ...quiet, quiet: seconds, database }));
    for (const perSecond of records === null ? rates : [shortRate(records)])
      for (const sink of Object.keys(catalog)) {
        say(`${catalog[sink].label}, ${whole(perSecond)} records a second`);
        const count = records ?? perSecond * secondsByDefault;
        results.push(summary(sink, perSecond, await runSink({ sink, records: count, perSecond, database })));
      }
  } finally {
    await database.close();
  }
  return { target, awake, triggers: triggers(), results, computed: records === null ? lines(results) : [] };
}

const shortRate = (records) => Math.min(rates.at(-1), short.puts * Math.ceil(records / short.seconds / short.puts));

/** An hour in which nothing comes: looks, no checkpoints. */
function awakeOf({ seconds, requests }) {
  const perHour = (number) => (number * 3_600) / seconds;
  const priced = Object.entries(requests.checkpoints).map(([name, count]) => ({
    name,
    requests: perHour(count.requests),
    units: perHour(count.units),
    dollars: perHour(priceOf(name, count)),
  }));
  if (Object.keys(requests.target).length > 0) throw new Error("the sink asks something though nothing comes");
  return { seconds, requests: priced, dollarsPerHour: priced.reduce((sum, { dollars }) => sum + dollars, 0) };
}

async function runSink({ sink, records, perSecond, database, quiet: seconds = null }) {
  const interval = records / perSecond < secondsByDefault ? short.interval : intervalByDefault;
  const cloud = await openCloud({ shards });
  const stop = new AbortController();
  try {
    await make[kinds[sink]](cloud.make, database);
    const watching = watch(await readers[kinds[sink]](cloud.clients, database.url));
    const feeding = feed(cloud.clients.kinesis, { records, perSecond, signal: stop.signal, put: watching.put });
    const args = [`--sink=${sink}`, `--records=${records}`, `--interval=${interval}`];
    if (seconds !== null) args.push(`--quiet=${seconds}`);
    const env = { ...cloud.env, BENCH_URL: database.url };
    const session = runScript("sinks/run-sink.mjs", { args, env, timeoutMs });
    const [counts] = await Promise.all([session, feeding]).catch(async (error) => {
      await watching.end().catch(() => undefined);
      throw error;
    });
    const { total, millis } = await watching.end();
    if (total !== records) throw new Error(`${catalog[sink].label}: the target has ${total} records of ${records}`);
    return { ...counts, interval, millis };
  } finally {
    stop.abort();
    await cloud.close();
  }
}

const make = {
  table: (cloud) => cloud.table(places.target, [{ name: "airport", type: "string" }]),
  bucket: (cloud) => cloud.bucket(places.target),
  stream: (cloud) => cloud.stream(places.target, shards),
  async database(_cloud, { query }) {
    await query(`drop table if exists "${places.target}"`);
    await query(
      `create table "${places.target}" (airport text primary key, flights bigint, late bigint, "sum" bigint)`,
    );
  },
};

function summary(sink, recordsPerSecond, { counted, seconds, checkpoints, interval, requests, database, millis }) {
  const perMillion = (number) => (number * million) / counted;
  const priced = Object.entries(requests).flatMap(([of, counts]) =>
    Object.entries(counts).map(([name, count]) => ({
      of,
      name,
      requests: perMillion(count.requests),
      units: perMillion(count.units),
      dollars: perMillion(priceOf(name, count)),
    })),
  );
  const dollarsOf = (of) => priced.filter((one) => one.of === of).reduce((sum, { dollars }) => sum + dollars, 0);
  const dollarsPerMillion = dollarsOf("checkpoints") + dollarsOf("target");
  const ratio = dollarsPerMillion / triggerPerMillion(catalog[sink]);
  return {
    sink,
    ...{ recordsPerSecond, interval, records: counted, seconds, checkpoints, requests: priced },
    /** As they came. Less than was asked for is what a machine with other work does. */
    recordsPerSecondSeen: counted / seconds,
    transactions: sink === "postgres" ? perMillion(database.transactions) : null,
    dollars: { checkpoints: dollarsOf("checkpoints"), target: dollarsOf("target") },
    dollarsPerMillion,
    ratio,
    met: catalog[sink].rows === "counts" ? ratio <= target : null,
    latencyMs: { samples: millis.length, median: quantile(millis, 0.5), p95: quantile(millis, 0.95) },
  };
}

const triggers = () =>
  Object.entries(catalog).map(([sink, one]) => ({ sink, dollarsPerMillion: triggerPerMillion(one) }));

function quantile(numbers, share) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

const higherRate = 10_000;

/** Computed: the line through what was measured at the two rates. No more than a bound where a key gets one row, however often it comes. */
function lines(results) {
  return Object.keys(catalog).map((sink) => {
    const [slow, fast] = rates.map((rate) => {
      const { dollarsPerMillion, recordsPerSecondSeen } = results.find(
        (one) => one.sink === sink && one.recordsPerSecond === rate,
      );
      return {
        rate: recordsPerSecondSeen,
        dollarsPerHour: (dollarsPerMillion * recordsPerSecondSeen * 3_600) / million,
      };
    });
    const slope = Math.max(0, fast.dollarsPerHour - slow.dollarsPerHour) / (fast.rate - slow.rate);
    const dollarsPerHour = fast.dollarsPerHour + slope * (higherRate - fast.rate);
    const dollarsPerMillion = (dollarsPerHour * million) / 3_600 / higherRate;
    const ratio = dollarsPerMillion / triggerPerMillion(catalog[sink]);
    return { sink, recordsPerSecond: higherRate, dollarsPerHour, dollarsPerMillion, ratio };
  });
}

export function report({ results, awake, computed }) {
  const rows = [
    ["a million records", "per s", "writes", "reads", "S3", "put units", "dollars", "ratio", "", "ms", "p95"],
    ...results.map((one) => {
      const { dollarsPerMillion, ratio, met, latencyMs, recordsPerSecondSeen } = one;
      const sum = (pattern, member) =>
        whole(one.requests.filter(({ name }) => pattern.test(name)).reduce((all, found) => all + found[member], 0));
      return [
        catalog[one.sink].label,
        whole(recordsPerSecondSeen),
        sum(/^DynamoDB\.(Put|Update|Delete|Transact)/, "units"),
        sum(/^DynamoDB\.(Get|Query)/, "units"),
        sum(/^S3\.(?!Delete)/, "requests"),
        sum(/^Kinesis\.PutRecords/, "units"),
        fixed(dollarsPerMillion, 4),
        fixed(ratio, 3),
        met === null ? "" : met ? "met" : "missed",
        whole(latencyMs.median),
        whole(latencyMs.p95),
      ];
    }),
  ];
  const transactions = results
    .filter((one) => one.transactions !== null)
    .map((one) => `${whole(one.transactions)} (${whole(one.recordsPerSecond)}/s)`);
  const higher = computed.map(
    (one) =>
      `${catalog[one.sink].label} ${fixed(one.dollarsPerMillion, 4)} (${fixed(one.ratio, 3)}, $${fixed(one.dollarsPerHour, 3)} an hour)`,
  );
  const line =
    computed.length === 0 ? "" : `\n  at ${whole(higherRate)}/s, by the line through both: ${higher.join("; ")}`;
  return `${table(rows)}
  ratio: to a trigger with an item per record (target for counts: at most ${target}); ms: from put to seen, median and p95
  postgres: transactions for a million records: ${transactions.join(", ")}
  awake, and nothing comes: $${fixed(awake.dollarsPerHour, 4)} an hour${line}`;
}
