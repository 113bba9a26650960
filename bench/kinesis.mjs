// Records a second that a session processes from the embedded Kinesis, beside a loop that does nothing but read them.
import { runScript } from "./children.mjs";
import { airportsOf } from "./cloud/airports.mjs";
import { openCloud, putLines } from "./cloud/open-cloud.mjs";
import { fixed, median, table, whole } from "./figures.mjs";
import { flightLines } from "./inputs.mjs";

const recordsByDefault = 200_000;
const shards = 4;
const timeoutMs = 10 * 60_000;
/** At least so many of the bare loop's records a second. */
const target = 0.9;

export async function run({ records, pairs, say }) {
  const count = records ?? recordsByDefault;
  const cloud = await openCloud({ shards, kinesisApart: true });
  try {
    say(`putting ${whole(count)} records into ${shards} shards`);
    await putLines(cloud.clients.kinesis, flightLines(count));
    const [bare, session] = [[], []];
    for (let pair = 0; pair < pairs; pair++) {
      const both = [() => readBare(cloud, count, bare), () => runSession(cloud, count, session)];
      for (const one of pair % 2 === 0 ? both : both.toReversed()) await one();
      say(`${pair + 1} of ${pairs}: bare ${fixed(bare.at(-1).seconds)} s, session ${fixed(session.at(-1).seconds)} s`);
    }
    return summary(count, bare, session);
  } finally {
    await cloud.close();
  }
}

async function readBare({ env }, records, runs) {
  const read = await runScript("cloud/read-bare.mjs", { args: [`--records=${records}`], env, timeoutMs });
  if (read.records !== records) throw new Error(`the bare loop read ${read.records} records of ${records}`);
  runs.push(read);
}

async function runSession({ env, clients, make }, records, runs) {
  const name = `flights-${runs.length}`;
  await make.table(name, [{ name: "airport", type: "string" }]);
  const args = [`--records=${records}`, `--name=${name}`, `--table=${name}`, "--interval=1s"];
  runs.push(await runScript("cloud/run-session.mjs", { args, env, timeoutMs }));
  const airports = await airportsOf(clients.dynamo, name);
  const counted = [...airports.values()].reduce((sum, { flights }) => sum + flights, 0);
  if (counted !== records) throw new Error(`the table has counted ${counted} records of ${records}`);
}

function summary(records, bare, session) {
  const rate = (runs) => median(runs.map((one) => records / one.seconds));
  const byPair = session.map((one, pair) => bare[pair].seconds / one.seconds);
  return {
    records,
    shards,
    pairs: bare.length,
    bareRecordsPerSecond: rate(bare),
    sessionRecordsPerSecond: rate(session),
    ratio: median(byPair),
    ratios: byPair,
    target,
    bareCpuMs: median(bare.map((one) => one.cpuMs)),
    sessionCpuMs: median(session.map((one) => one.cpuMs)),
    checkpoints: median(session.map((one) => one.checkpoints)),
  };
}

export function report(result) {
  const rows = [
    [`kinesis: ${whole(result.records)} records, ${result.shards} shards`, "records/s", "CPU ms"],
    ["bare read loop", whole(result.bareRecordsPerSecond), whole(result.bareCpuMs)],
    ["session", whole(result.sessionRecordsPerSecond), whole(result.sessionCpuMs)],
  ];
  const ratio = `ratio ${fixed(result.ratio)} (target: at least ${result.target})`;
  return `${table(rows)}\n  medians of ${result.pairs} pairs; the table is right; ${ratio}`;
}
