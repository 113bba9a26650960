// What a million records cost in requests, at list price: counted while the pipeline runs on the embedded cloud, beside the usual
// trigger that keeps each record from counting twice by an item of its own.
import { runScript } from "./children.mjs";
import { airportsOf } from "./cloud/airports.mjs";
import { openCloud, putLines } from "./cloud/open-cloud.mjs";
import { priceOf } from "./cloud/prices.mjs";
import { fixed, table, whole } from "./figures.mjs";
import { flightLines } from "./inputs.mjs";

const recordsByDefault = 60_000;
const recordsPerSecond = 1_000;
const putsPerSecond = 10;
const shards = 2;
/** As it is where nobody says otherwise. */
const interval = "10s";
const timeoutMs = 15 * 60_000;
const tableName = "airports";
/** At most so much of what the trigger costs. */
const target = 0.1;
/** Of the trigger, as its event source mapping delivers. */
const recordsPerInvocation = 100;
/** Of one record: the item by which it is known again, and the counter. Each is small. */
const writesPerRecord = 2;
const million = 1e6;
const rates = [100, 1_000, 10_000];

export async function run({ records, say }) {
  const count = records ?? recordsByDefault;
  const cloud = await openCloud({ shards });
  const stop = new AbortController();
  try {
    await cloud.make.table(tableName, [{ name: "airport", type: "string" }]);
    say(`${whole(count)} records at ${whole(recordsPerSecond)} a second`);
    const args = [`--records=${count}`, "--name=cost", `--table=${tableName}`, `--interval=${interval}`];
    const feeding = feed(cloud.clients.kinesis, count, stop.signal);
    const session = runScript("cloud/run-session.mjs", { args, env: cloud.env, timeoutMs });
    const [result] = await Promise.all([session, feeding]);
    const counted = [...(await airportsOf(cloud.clients.dynamo, tableName)).values()];
    if (counted.reduce((sum, { flights }) => sum + flights, 0) !== count)
      throw new Error("the table has counted another number of records than was put");
    return summary(result);
  } finally {
    stop.abort();
    await cloud.close();
  }
}

async function feed(kinesis, count, signal) {
  const lines = [...flightLines(count)];
  const perPut = recordsPerSecond / putsPerSecond;
  const startedAt = performance.now();
  for (let fed = 0; fed < count && !signal.aborted; fed += perPut) {
    await putLines(kinesis, lines.slice(fed, fed + perPut));
    const due = startedAt + ((fed + perPut) * 1_000) / recordsPerSecond;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
  }
}

function summary({ records, wholeSeconds, checkpoints, invocations, requests }) {
  const lambda = { requests: invocations.task + invocations.supervisor, units: 0 };
  const all = Object.entries({ ...requests, "Lambda.Invoke": lambda });
  const lines = all.map(([name, { requests: sent, units }]) => ({
    name,
    requests: sent,
    units,
    dollars: priceOf(name, { requests: sent, units }),
    dollarsPerMillion: (priceOf(name, { requests: sent, units }) * million) / records,
  }));
  const dollars = lines.reduce((sum, line) => sum + line.dollars, 0);
  const dollarsPerMillion = (dollars * million) / records;
  const trigger = triggerPerMillion();
  return {
    records,
    recordsPerSecond,
    seconds: wholeSeconds,
    checkpoints,
    interval,
    lines,
    dollarsPerMillion,
    triggerDollarsPerMillion: trigger,
    ratio: dollarsPerMillion / trigger,
    target,
    dollarsPerHour: (dollars * 3_600) / wholeSeconds,
    atOtherRates: rates.map((rate) => {
      const perMillion = ((dollars / wholeSeconds) * million) / rate;
      return { recordsPerSecond: rate, dollarsPerMillion: perMillion, ratio: perMillion / trigger };
    }),
  };
}

/** Two writes a record, and an invocation a batch. */
function triggerPerMillion() {
  const writes = { requests: writesPerRecord * million, units: writesPerRecord * million };
  return (
    priceOf("DynamoDB.PutItem", writes) +
    priceOf("Lambda.Invoke", { requests: million / recordsPerInvocation, units: 0 })
  );
}

export function report(result) {
  const { lines, ratio } = result;
  const perMillion = (number) => whole((number * million) / result.records);
  const rows = [
    ["cost of a million records", "requests", "units", "dollars"],
    ...lines.map(({ name, requests, units, dollarsPerMillion }) => [
      name,
      perMillion(requests),
      units === 0 ? "" : perMillion(units),
      fixed(dollarsPerMillion, 4),
    ]),
    ["tidemark", "", "", fixed(result.dollarsPerMillion, 4)],
    ["a trigger with an item per record", "", "", fixed(result.triggerDollarsPerMillion, 4)],
  ];
  const others = result.atOtherRates.map(
    (at) => `${whole(at.recordsPerSecond)}/s ${fixed(at.dollarsPerMillion, 4)} (${fixed(at.ratio, 3)})`,
  );
  return `${table(rows)}
  counted over ${whole(result.records)} records at ${whole(result.recordsPerSecond)} a second, ${result.checkpoints} checkpoints, ${result.interval} apart
  ratio ${fixed(ratio, 3)} (target: at most ${result.target}); as many requests a second at other rates: ${others.join(", ")}`;
}
