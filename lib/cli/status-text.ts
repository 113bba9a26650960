import type { ForkSummary } from "../checkpoint/forks.js";
import { formatMillis } from "../model/duration.js";
import type { SinkStatus, StatusReport, TaskStatus } from "./status.js";

/** For people; `--json` has it whole. */
export function statusText(status: StatusReport): string {
  const { pipeline, generation, openedAt, reason, code, waitsFor } = status;
  const desired = status.desired === status.status || status.desired === null ? "" : ` (asked for: ${status.desired})`;
  return [
    `${pipeline}: ${status.status}${desired}`,
    ...(status.sleepingSince === null ? [] : [`  sleeps since   ${readable(status.sleepingSince)}`]),
    ...(waitsFor === null ? [] : [`  waits for      ${waitsFor}`]),
    `  generation     ${generation}, opened ${readable(openedAt)} (${reason}), ${status.restarts} more this hour`,
    `  code           ${codeText(code)}`,
    ...rejectionLines(code),
    `  checkpoint     ${checkpointText(status)}`,
    ...status.tasks.map((task, index) => `  ${index === 0 ? "tasks" : "     "}          ${taskText(task)}`),
    ...status.sinks.map((sink, index) => `  ${index === 0 ? "sinks" : "     "}          ${sinkText(sink)}`),
    `  savepoints     ${savepointsText(status)}`,
    ...status.forks.map((fork, index) => `  ${index === 0 ? "forks" : "     "}          ${forkText(fork)}`),
    ...failureLines(status),
    "",
  ].join("\n");
}

const readable = (time: string): string => `${time.replace("T", " ").slice(0, 19)} UTC`;

function codeText({ functionVersion, desiredVersion, deployment, rejected }: StatusReport["code"]): string {
  const next = desiredVersion === null || desiredVersion === functionVersion ? "" : `, to become ${desiredVersion}`;
  const back = rejected.length === 0 ? "" : `, taken back: ${rejected.join(", ")}`;
  return `version ${functionVersion}${next} (deployment ${deployment ?? "none"}${back})`;
}

function rejectionLines({ rejection }: StatusReport["code"]): readonly string[] {
  return rejection === null ? [] : [`  taken back     ${readable(rejection.at)}: ${rejection.message}`];
}

function checkpointText({ checkpoint, pending }: StatusReport): string {
  const last =
    checkpoint === null
      ? "none yet"
      : `${checkpoint.id}, ${formatMillis(checkpoint.ageMillis)} ago (${checkpoint.alignment})`;
  if (pending === null) return last;
  const as = pending.savepoint === null ? "" : `, savepoint "${pending.savepoint}"`;
  const then = pending.andThen === "continue" ? "" : `, then ${pending.andThen}`;
  return `${last}; under way: ${pending.id}${as}${then}`;
}

function taskText({ task, lease, session, deadline, behindMillis, records }: TaskStatus): string {
  const who = lease === "held" ? `session ${session} until ${readable(deadline ?? "")}` : lease;
  const lag = behindMillis === null ? "" : `, ${formatMillis(behindMillis)} behind`;
  const count = records === null ? "" : `, ${records.toLocaleString("en-US")} records`;
  return `${task}  ${who}${lag}${count}`;
}

const sinkText = ({ sink, mode, rows }: SinkStatus): string =>
  `${sink}  ${mode}${rows === null ? "" : `, ${rows.toLocaleString("en-US")} rows looked at`}`;

const forkText = ({ name, checkpoint, status }: ForkSummary): string =>
  `${name}  of checkpoint ${checkpoint}, ${status === "cut short" ? "cut short: make it again, or remove it with fork --delete" : status}`;

const savepointsText = ({ savepoints }: StatusReport): string =>
  savepoints.length === 0 ? "none" : savepoints.map(({ name, checkpoint }) => `${name} (${checkpoint})`).join(", ");

function failureLines({ failures }: StatusReport): readonly string[] {
  const last = failures.at(-1);
  if (last === undefined) return ["  failures       none"];
  const task = last.task === null ? "" : `, task ${last.task}`;
  return [
    `  failures       ${failures.length}; the last at ${readable(last.at)} (${last.kind}, generation ${last.generation}${task}):`,
    `                 ${last.message}`,
  ];
}
