// Records from task to task: how many a second, how long one is on its way, and what the requests cost.
import { runScript } from "./children.mjs";
import { openCloud } from "./cloud/open-cloud.mjs";
import { priceOf } from "./cloud/prices.mjs";
import { fixed, table, whole } from "./figures.mjs";

const recordsByDefault = 400_000;
/** Tasks of each of the two stages. One: there is one stage, and no exchange. */
const parallelisms = [1, 2, 4, 8];
const stages = 2;
/** On the embedded cloud. */
const recordsPerSecond = 1_000;
const secondsPaced = 30;
const interval = "10s";
const timeoutMs = 6 * 60_000;
const million = 1e6;

export async function run({ records, tasks, say }) {
  const count = records ?? recordsByDefault;
  const paced = Math.min(count, recordsPerSecond * secondsPaced);
  const results = [];
  for (const parallelism of tasks === null ? parallelisms : [Math.max(1, Math.floor(tasks / stages))]) {
    say(`${parallelism} x ${parallelism} in memory`);
    const memory = await runStages({ parallelism, records: count, on: "memory" });
    say(`${parallelism} x ${parallelism} on the embedded cloud`);
    const cloud = await onCloud({ parallelism, records: paced, on: "cloud", rate: recordsPerSecond });
    results.push({ parallelism, memory, cloud: { ...cloud, ...costOf(cloud) } });
  }
  return { recordsPerSecond, interval, results };
}

function runStages({ parallelism, records, on, rate, env = {} }) {
  const paced = rate === undefined ? [] : [`--rate=${rate}`];
  const args = [
    `--parallelism=${parallelism}`,
    `--records=${records}`,
    `--on=${on}`,
    `--interval=${interval}`,
    ...paced,
  ];
  return runScript("exchange/run-stages.mjs", { args, env, timeoutMs });
}

async function onCloud(options) {
  const cloud = await openCloud({ shards: 1 });
  try {
    return await runStages({ ...options, env: cloud.env });
  } finally {
    await cloud.close();
  }
}

/** At list price. A million records at this rate. */
function costOf({ records, wholeSeconds, requests }) {
  const lines = Object.entries(requests).map(([name, count]) => ({
    name,
    ...count,
    dollars: priceOf(name, count),
  }));
  const dollars = lines.reduce((sum, line) => sum + line.dollars, 0);
  return { lines, dollarsPerMillion: (dollars * million) / records, dollarsPerHour: (dollars * 3_600) / wholeSeconds };
}

export function report({ results, recordsPerSecond: rate, interval: between }) {
  const speed = [
    ["in memory, one process", "records/s", "CPU us a record", "frames", "records a frame"],
    ...results.map(({ parallelism, memory }) => [
      nameOf(parallelism),
      whole(memory.records / memory.seconds),
      fixed((memory.cpuMs * 1_000) / memory.records, 1),
      whole(memory.exchange.notesPut),
      memory.exchange.notesPut === 0 ? "" : whole(memory.records / memory.exchange.notesPut),
    ]),
  ];
  const hop = [
    [
      `${whole(rate)} records/s, embedded cloud`,
      "median ms",
      "p99 ms",
      "MiB at most",
      "notes put",
      "lists",
      "news put",
      "lists",
      "S3 put",
      "S3 get",
      "$ a million",
      "$ an hour",
    ],
    ...results.map(({ parallelism, cloud }) => {
      const perMillion = (number) => whole((number * million) / cloud.records);
      const { notesPut, noteLists, newsPut, newsLists, framesPut, frameReads } = cloud.exchange;
      return [
        nameOf(parallelism),
        ...[cloud.latencyMs.median, cloud.latencyMs.p99].map((ms) => fixed(ms, ms < 10 ? 1 : 0)),
        whole(cloud.memoryMb),
        ...[notesPut, noteLists, newsPut, newsLists, framesPut, frameReads].map(perMillion),
        fixed(cloud.dollarsPerMillion, 4),
        fixed(cloud.dollarsPerHour, 4),
      ];
    }),
  ];
  return `${table(speed)}\n\n${table(hop)}
  requests are for a million records; checkpoints ${between} apart; dollars are of all requests, those of checkpoints and looks too`;
}

const nameOf = (parallelism) => (parallelism === 1 ? "1 task, no exchange" : `${parallelism} x ${parallelism} tasks`);
