// Where the CPU time of f1 and k1 goes: V8's own profile of a run, self time by function and by part of a record's way.
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { runScript } from "./children.mjs";
import { fixed, table, whole } from "./figures.mjs";
import { jobs } from "./files/jobs.mjs";
import { writeLines } from "./inputs.mjs";

const recordsByDefault = 2_000_000;
const functionsShown = 25;
const timeoutMs = 10 * 60_000;
/** Between two samples, in microseconds. */
const intervalUs = 500;

const runs = [
  { variant: "plain", script: "files/run-plain.mjs" },
  { variant: "tidemark", script: "files/run-tidemark.mjs" },
  { variant: "fields", script: "files/run-tidemark.mjs" },
];

/** By file, by function, by what called it; the first that fits. What is V8's own, such as JSON.parse, counts to what called it. */
const parts = [
  { part: "encode", file: /\/model\//, under: /\/connectors\/file-sink/ },
  { part: "decode", file: /\/model\/(json|lines|codecs|utf8|schemas)|\/runtime\/line-batch/ },
  { part: "key", name: /^(enter|#rowOf|#add|checkKey|keptKey)$/, file: /\/state\// },
  { part: "key", file: /\/model\/(keys|md5)|\/state\/key-ids/ },
  { part: "state", file: /\/state\/(table|accessors|entries|rows|map-cell)/ },
  {
    part: "checkpoint",
    file: /\/(state|checkpoint)\/|\/file-blobs|\/runtime\/(cut|commit|uncommitted|progress)|\/sha256/,
  },
  { part: "emit", file: /\/connectors\/file-sink|\/runtime\/two-phase-output|\/bench\/files\/join-parts/ },
  { part: "operators", file: /\/bench\/files\/jobs|\/runtime\/(task|compile)/ },
  { part: "read and write", file: /\/connectors\/|^node:|\/bench\// },
  { part: "session", file: /\/runtime\// },
];

export async function run({ records, folder, say }) {
  const count = records ?? recordsByDefault;
  const found = [];
  for (const job of Object.keys(jobs)) {
    const input = join(folder, `${job}.jsonl`);
    writeLines(input, jobs[job].lines(count));
    for (const one of runs) {
      say(`${job} ${one.variant}`);
      found.push({ job, variant: one.variant, records: count, ...(await profileOne(job, one, { input, folder })) });
    }
    await rm(input);
  }
  return { records: count, runs: found };
}

async function profileOne(job, { variant, script }, { input, folder }) {
  const [own, profiles] = [join(folder, "run"), join(folder, "profile")];
  for (const one of [own, profiles]) await rm(one, { recursive: true, force: true });
  await mkdir(own);
  const nodeArgs = ["--cpu-prof", `--cpu-prof-dir=${profiles}`, `--cpu-prof-interval=${intervalUs}`];
  const named = { job, variant, input, output: join(folder, "output.jsonl"), folder: own };
  const args = Object.entries(named).map(([option, value]) => `--${option}=${value}`);
  const { cpuMs, processCpuMs } = await runScript(script, { args, nodeArgs, timeoutMs });
  return { cpuMs, ...scaled(readProfile(profiles), processCpuMs) };
}

/** Samples know the clock alone: on a busy machine a thread that waits for its turn looks like one that works. */
function scaled({ mainThreadMs, functions, parts: msByPart }, cpuMs) {
  const share = cpuMs / mainThreadMs;
  return {
    profiledMs: mainThreadMs,
    functions: functions.map((one) => ({ ...one, ms: one.ms * share })),
    parts: Object.fromEntries(Object.entries(msByPart).map(([part, ms]) => [part, ms * share])),
  };
}

/**
 * @param {string} folder where `node --cpu-prof` has written
 * @returns {{ mainThreadMs: number, functions: { name: string, place: string, ms: number }[], parts: Record<string, number> }}
 */
function readProfile(folder) {
  const [file] = readdirSync(folder).filter((name) => name.endsWith(".cpuprofile"));
  if (file === undefined) throw new Error("node wrote no profile");
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(folder, file), "utf8"));
  const byId = new Map(nodes.map((node) => [node.id, { ...node.callFrame, parent: null }]));
  for (const { id, children = [] } of nodes) for (const child of children) byId.get(child).parent = byId.get(id);
  const [functions, msByPart] = [new Map(), {}];
  let mainThreadMs = 0;
  for (const [index, id] of samples.entries()) {
    const frame = byId.get(id);
    if (frame.functionName === "(idle)") continue;
    const ms = timeDeltas[index] / 1_000;
    mainThreadMs += ms;
    add(functions, frame, ms);
    const part = partOf(frame);
    msByPart[part] = (msByPart[part] ?? 0) + ms;
  }
  const sorted = [...functions.values()].sort((a, b) => b.ms - a.ms);
  return { mainThreadMs, functions: sorted.slice(0, functionsShown), parts: msByPart };
}

function add(functions, { functionName, url, lineNumber, parent }, ms) {
  const by = url === "" && parent !== null && parent.functionName !== "(root)" ? ` of ${parent.functionName}` : "";
  const name = `${functionName || "(anonymous)"}${by}`;
  const place = url === "" ? "" : `${url.replace(/^file:.*\/(?=(dist|bench)\/)/, "")}:${lineNumber + 1}`;
  const key = `${name} ${place}`;
  functions.set(key, { name, place, ms: ms + (functions.get(key)?.ms ?? 0) });
}

function partOf(frame) {
  for (let at = frame; at !== null; at = at.parent) {
    const { functionName, url } = at;
    if (functionName === "(garbage collector)") return "garbage collector";
    if (url === "") continue;
    const fits = ({ name = /^/, file = /^/, under = null }) =>
      name.test(functionName) && file.test(url) && (under === null || isUnder(at, under));
    const found = parts.find(fits);
    if (found !== undefined) return found.part;
  }
  return "node";
}

const sumOf = (msByPart) => Object.values(msByPart).reduce((sum, ms) => sum + ms, 0);

function isUnder(frame, file) {
  for (let at = frame.parent; at !== null; at = at.parent) if (file.test(at.url)) return true;
  return false;
}

export function report({ runs: profiled }) {
  const names = [...new Set(profiled.flatMap((one) => Object.keys(one.parts)))].sort();
  const nsOf = (one, part) => fixed(((one.parts[part] ?? 0) * 1e6) / one.records, 0);
  const overview = table([
    ["ns of CPU a record", ...profiled.map(({ job, variant }) => `${job} ${variant}`)],
    ...names.map((part) => [part, ...profiled.map((one) => nsOf(one, part))]),
    ["all", ...profiled.map((one) => fixed((sumOf(one.parts) * 1e6) / one.records, 0))],
  ]);
  const details = profiled.map(({ job, variant, cpuMs, functions }) => {
    const lines = functions.map(({ name, place, ms }) => `  ${whole(ms).padStart(6)} ms  ${name}  ${place}`.trimEnd());
    return `${job} ${variant}: ${whole(cpuMs)} ms of CPU; self time\n${lines.join("\n")}`;
  });
  return [overview, ...details].join("\n\n");
}
