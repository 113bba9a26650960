import { formatMillis } from "../model/duration.js";
import type { EdgeReport, PlanReport, StageReport } from "./plan-report.js";

type Row = readonly [what: string, name: string, how: string];

/** The report for people. */
export function planText(report: PlanReport): string {
  const { stages, tasks, edges, notes } = report;
  const rows = new Map(stages.map((stage) => [stage, stageRows(stage)]));
  const width = Math.max(...[...rows.values()].flat().map(([, name]) => name.length));
  const line = ([what, name, how]: Row) => `  ${what.padEnd(8)}  ${name.padEnd(width)}  ${how}`;
  return [
    `pipeline "${report.pipeline}": ${counted(stages.length, "stage")}, ${counted(tasks, "task")}, ${counted(edges.length, "edge")}`,
    `${report.mode}, ${report.alignment}, fingerprint ${report.fingerprint.slice(0, 16)}…`,
    ...stages.flatMap((stage) => ["", stageTitle(stage), ...(rows.get(stage) ?? []).map(line)]),
    ...(edges.length === 0 ? [] : ["", "edges"]),
    ...edges.map((edge) => `  ${edge.name.padEnd(width)}  ${wayOf(edge)}`),
    ...(report.deadLetters === null ? [] : ["", `dead letters: ${report.deadLetters}`]),
    ...(notes.length === 0 ? [] : ["", ...notes.map((note) => `note: ${note}.`)]),
    "",
  ].join("\n");
}

const wayOf = ({ from, to, channels }: EdgeReport): string =>
  `from ${from.length === 1 ? "stage" : "stages"} ${from.join(" and ")} to stage ${to}, ${counted(channels, "channel")}`;

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;

/** K2: which tasks there are to read shards is known when a generation is opened. */
const stageTitle = ({ index, name, tasks, sources }: StageReport): string =>
  `stage ${index} "${name}", ${sources.length > 0 && tasks > 1 ? "at most " : ""}${counted(tasks, "task")}`;

function stageRows({ sources, operators, calls, sinks }: StageReport): readonly Row[] {
  return [
    ...sources.map(({ name, kind, from }): Row => ["source", name, `${kind} "${from}"`]),
    ...calls.map(({ name, concurrency, ordered, timeoutMillis }): Row => {
      const order = ordered ? "in order" : "as they come";
      return ["calls", name, `${concurrency} at a time, ${order}, within ${formatMillis(timeoutMillis)}`];
    }),
    ...operators.map(({ name, kind, version, state }): Row => {
      const states = Object.entries(state).map(([called, of]) =>
        kind === "reduce" ? "the merge" : `${called} (${of})`,
      );
      return ["operator", name, `${kind}, version ${version}, state: ${states.join(", ") || "none"}`];
    }),
    ...sinks.map(({ name, kind, delivery }): Row => ["sink", name, `${kind}, ${delivery}`]),
  ];
}
