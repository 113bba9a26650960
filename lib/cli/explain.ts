import { Command } from "commander";
import { readMarked } from "../checkpoint/marked.js";
import { formatMillis } from "../model/duration.js";
import { type Explained, type ExplainedTask, explain } from "./explain-report.js";
import {
  type BucketFlags,
  bucketOptions,
  findMarked,
  type OpenedBucket,
  sourceHelp,
  withBucket,
} from "./stored-state.js";
import { textTable } from "./text-table.js";

interface Flags extends BucketFlags {
  readonly json: boolean;
}

export function explainCommand(): Command {
  const command = new Command("explain")
    .description("say where the time, the bytes and the requests of a checkpoint went")
    .argument("<pipeline>", sourceHelp)
    .argument("<checkpoint>", "the id of a checkpoint, the name of a savepoint, or latest");
  return bucketOptions(command)
    .option("--json", "print one JSON object", false)
    .addHelpText("after", notes)
    .action(async (source: string, checkpoint: string, flags: Flags) => {
      const found = await withBucket(source, flags, (opened) => run(opened, checkpoint));
      process.stdout.write(flags.json ? `${JSON.stringify(found)}\n` : explainedText(found));
    });
}

const notes = `
Nothing is changed, and the bucket alone is read. What is told is what each task said with its part of the checkpoint. When the
checkpoint became complete, and how long its output took to be written after that, is kept nowhere; nor is time by shard.

Members with --json: pipeline, checkpoint, generation, alignment, andThen, written (by a person), triggeredAt, durationMillis (to
the last ack), slowest (the task that acked last), bytes, tasks (task, session, waitedMillis, storedMillis, ackedAt, snapshot,
stateBytes, outputBytes, keys, deltas, records, requests by port and method, requestsSince, dollars, shards with behindMillis),
dollars (list price, each item taken for a small one), unpriced (calls whose price is not known by their number).`;

async function run(opened: OpenedBucket, wanted: string): Promise<Explained> {
  const { store, incarnation, ids } = opened;
  const { ref, manifest } = await findMarked(opened, wanted);
  const before = manifest.previous;
  const isThere = before !== null && ids.includes(before.checkpointId);
  const previous = isThere ? (await readMarked(store, incarnation, before.checkpointId)).manifest : null;
  return explain(ref, manifest, previous);
}

const n = (count: number) => count.toLocaleString("en-US");
const price = (dollars: number) => (dollars === 0 ? "$0" : `$${dollars.toPrecision(2)}`);

export function explainedText(found: Explained): string {
  const { checkpoint, generation, alignment, durationMillis, slowest, tasks, dollars, unpriced } = found;
  const lines = [
    `checkpoint ${checkpoint} of generation ${generation}, ${alignment}, triggered ${found.triggeredAt}`,
    durationMillis === null
      ? "its state was written by a person: no task cut it"
      : `all acks after ${formatMillis(durationMillis)}${slowest === null ? "" : `, the last one that of task ${slowest}`}; ${n(found.bytes)} bytes written`,
    "",
    textTable(["task", "waited", "stored", "state", "output", "records", "requests", "price"], tasks.map(taskRow)),
    `requests: ${price(dollars)} at list price, each item taken for a small one${unpriced.length === 0 ? "" : `; without ${unpriced.join(", ")}`}`,
    ...shardLines(tasks),
    "",
  ];
  return lines.join("\n");
}

const taskRow = (task: ExplainedTask): readonly string[] => [
  task.task,
  formatMillis(task.waitedMillis),
  formatMillis(task.storedMillis),
  task.snapshot === "unchanged" ? "unchanged" : `${task.snapshot}, ${n(task.keys)} keys, ${n(task.stateBytes)} bytes`,
  `${n(task.outputBytes)} bytes`,
  task.records === null ? "?" : n(task.records),
  `${n(Object.values(task.requests).reduce((sum, count) => sum + count, 0))} since ${task.requestsSince}`,
  price(task.dollars),
];

const shardsShownMax = 5;

/** The shards that were furthest behind. */
function shardLines(tasks: readonly ExplainedTask[]): readonly string[] {
  const all = tasks.flatMap(({ task, shards }) => shards.map((shard) => ({ task, ...shard })));
  const known = all.flatMap(({ behindMillis, ...rest }) => (behindMillis === null ? [] : [{ ...rest, behindMillis }]));
  const furthest = known.toSorted((a, b) => b.behindMillis - a.behindMillis).slice(0, shardsShownMax);
  if (furthest.length === 0) return [];
  const told = furthest.map(
    ({ source, shard, task, behindMillis }) => `  ${source}/${shard}, task ${task}: ${formatMillis(behindMillis)}`,
  );
  return ["positions behind the cut, at most:", ...told];
}
