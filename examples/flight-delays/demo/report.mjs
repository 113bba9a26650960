// What the demo ends with, for people and for machines.
import { table } from "./screen.mjs";

/**
 * @param {{ records: number, seconds: number, found: import("./compare.mjs").Comparison, run: import("./exactly-once.mjs").Run,
 *   plainFound: import("./compare.mjs").Comparison }} outcome
 */
export function summary({ records, seconds, found, run, plainFound, plain }) {
  const { counted, lost, twice, wrongAirports } = found;
  return {
    records,
    counted,
    lost,
    twice,
    crashes: run.crashes,
    recoverySeconds: run.recoverySeconds.map(rounded),
    seconds: rounded(seconds),
    checkpoints: run.checkpoints,
    handovers: run.handovers,
    splits: run.splits,
    merges: run.merges,
    wrongAirports,
    control: { counted: plainFound.counted, lost: plainFound.lost, twice: plainFound.twice, crashes: plain.crashes },
  };
}

/** Why the demo has failed; empty where all is as it must be. @returns {string[]} */
export function failures(result, crashes) {
  return [
    ...(result.lost > 0 ? [`${count(result.lost)} records were lost`] : []),
    ...(result.twice > 0 ? [`${count(result.twice)} records were counted twice`] : []),
    ...(result.wrongAirports > 0 ? [`the numbers of ${result.wrongAirports} airports differ from the file's`] : []),
    ...(result.crashes < crashes ? [`only ${result.crashes} of ${crashes} crashes happened`] : []),
    ...(result.control.crashes < crashes
      ? [`only ${result.control.crashes} of ${crashes} crashes of the plain handler happened: it is no comparison`]
      : []),
    ...(result.splits < 1 ? ["no shard was split"] : []),
    ...(result.merges < 1 ? ["no shards were merged"] : []),
  ];
}

export function reportText(result) {
  const { control, recoverySeconds } = result;
  const rows = [
    ["", "tidemark", "plain handler"],
    ["records in the file", count(result.records), count(result.records)],
    ["counted", count(result.counted), count(control.counted)],
    ["lost", count(result.lost), count(control.lost)],
    ["counted twice", count(result.twice), count(control.twice)],
    ["processes killed", count(result.crashes), count(control.crashes)],
  ];
  const recovery =
    recoverySeconds.length === 0
      ? "nothing to recover from"
      : `recovered in ${median(recoverySeconds).toFixed(2)} s (median), ${Math.max(...recoverySeconds).toFixed(2)} s at most`;
  return `
${table(rows)}

  ${recovery} · ${result.checkpoints} checkpoints · ${result.handovers} hand-overs · shards split ${result.splits}, merged ${result.merges} · ${result.seconds.toFixed(0)} s
`;
}

const count = (number) => number.toLocaleString("en-US");
const rounded = (number) => Math.round(number * 1_000) / 1_000;

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
