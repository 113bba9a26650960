// A job in turns: plain, plain with its state saved, as a pipeline, as a pipeline that decodes the fields it needs alone.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { runScript } from "../children.mjs";
import { fixed, median, millions, table, whole } from "../figures.mjs";
import { hashOf, writeLines } from "../inputs.mjs";
import { jobs } from "./jobs.mjs";
import { published } from "./published.mjs";

const recordsByDefault = 2_000_000;
const timeoutMs = 10 * 60_000;

const variants = [
  { name: "plain", title: "plain loop", script: "files/run-plain.mjs" },
  { name: "saving", title: "plain loop, whole state each second", script: "files/run-plain.mjs" },
  { name: "tidemark", title: "tidemark, json()", script: "files/run-tidemark.mjs" },
  { name: "fields", title: "tidemark, json().fields(…)", script: "files/run-tidemark.mjs" },
];

/** At most so many times the plain loop's CPU time. */
export const targets = { tidemark: 1.2, fields: 1 };

export async function compareJob(job, { records, pairs, input, output, folder, say }) {
  const lines = input ?? join(folder, "input.jsonl");
  if (input === null) {
    const count = records ?? recordsByDefault;
    say(`writing ${whole(count)} lines`);
    writeLines(lines, jobs[job].lines(count));
  }
  const runs = new Map(variants.map(({ name }) => [name, []]));
  const hashes = new Map();
  for (let pair = 0; pair < pairs; pair++) {
    // Who comes later finds other caches: everybody comes first as often as last.
    for (const variant of pair % 2 === 0 ? variants : variants.toReversed()) {
      const rows = variant.name === "tidemark" && output !== null ? output : join(folder, "output.jsonl");
      const run = await runOnce(job, variant, { input: lines, output: rows, folder });
      hashes.set(variant.name, await hashOf(rows));
      if (new Set(hashes.values()).size > 1)
        throw new Error(`${job}: the outputs differ: ${JSON.stringify(Object.fromEntries(hashes))}`);
      runs.get(variant.name)?.push(run);
      say(`${variant.name} ${pair + 1} of ${pairs}: ${whole(run.cpuMs)} ms of CPU`);
    }
  }
  return summary(job, runs, hashes.get("plain"));
}

/** In a process of its own, and a folder that is new. */
async function runOnce(job, { name, script }, { input, output, folder }) {
  const own = join(folder, "run");
  await rm(own, { recursive: true, force: true });
  await mkdir(own);
  const named = { job, variant: name, input, output, folder: own };
  const args = Object.entries(named).map(([option, value]) => `--${option}=${value}`);
  return runScript(script, { args, timeoutMs });
}

function summary(job, runs, sha256) {
  const all = variants.map(({ name, title }) => ({ name, title, ...figures(runs.get(name)) }));
  const [plain] = all;
  const ratios = Object.fromEntries(
    Object.keys(targets).map((name) => {
      const cpu = runs.get(name).map((run) => run.cpuMs);
      const byPair = cpu.map((ms, pair) => ms / runs.get("plain")[pair].cpuMs);
      return [name, { ofMedians: median(cpu) / plain.cpuMs, byPair, target: targets[name] }];
    }),
  );
  const theirs = published.map((one) => ({ name: one.name, recordsPerCpuSecond: one[job] }));
  return {
    job,
    records: plain.records,
    pairs: runs.get("plain").length,
    sha256,
    variants: all,
    ratios,
    published: theirs,
  };
}

function figures(runs) {
  const of = (figure) => median(runs.map((run) => run[figure] ?? 0));
  const [{ records }] = runs;
  return {
    records,
    cpuMs: of("cpuMs"),
    recordsPerCpuSecond: (records * 1_000) / of("cpuMs"),
    processCpuMs: of("processCpuMs"),
    wallMs: of("wallMs"),
    rssMb: of("rssMb"),
    checkpoints: of("checkpoints"),
    joinMs: of("joinMs"),
    runs: runs.map((run) => run.cpuMs),
  };
}

export function jobReport({ job, records, pairs, variants: measured, ratios, published: theirs }) {
  const plain = measured[0].recordsPerCpuSecond;
  const rows = [
    [`${job}: ${whole(records)} records`, "CPU ms", "records/CPU s", "x plain's CPU", "checkpoints", "MB", "wall ms"],
    ...measured.map((one) => [
      one.title,
      whole(one.cpuMs),
      millions(one.recordsPerCpuSecond),
      fixed(plain / one.recordsPerCpuSecond),
      whole(one.checkpoints),
      whole(one.rssMb),
      whole(one.wallMs),
    ]),
    ["published, another machine", "", "", "", "", "", ""],
    ...theirs.map(({ name, recordsPerCpuSecond: rate }) => [
      name,
      "",
      millions(rate),
      fixed(theirs[0].recordsPerCpuSecond / rate),
      "",
      "",
      "",
    ]),
  ];
  const against = Object.entries(ratios).map(
    ([name, { ofMedians, target }]) => `${name} ${fixed(ofMedians)} (target: at most ${target})`,
  );
  return `${table(rows)}\n  medians of ${pairs} runs each; outputs are equal; ${against.join(", ")}`;
}
