import { loadBodyRange } from "../../checkpoint/bodies.js";
import { listCheckpoints } from "../../checkpoint/history.js";
import { markerPrefix } from "../../checkpoint/names.js";
import { canonicalJson } from "../../model/canonical-json.js";
import type { Manifest } from "../../model/checkpoints.js";
import { keyGroupCount } from "../../model/keys.js";
import type { ListState, MapState, ValueState } from "../../pipeline/state-spec.js";
import { Task } from "../../runtime/task.js";
import { restoreInto } from "../../state/snapshot-reader.js";
import type { Completed } from "./invariants.js";
import { includedIn, rowName, rowsOf } from "./oracle.js";
import type { Person } from "./person.js";
import { Process } from "./process.js";
import { paddingOf, type Tally, tables } from "./tally-pipeline.js";

/** After the run: the tables, the state in every complete checkpoint, the history, and the markers. */
export async function checkEnd(person: Person): Promise<void> {
  checkTables(person);
  for (const completed of person.invariants.completed) await checkState(person, completed);
  await checkHistory(person);
}

/** The tables hold the oracle's rows for the whole input, no more and no less. */
function checkTables(person: Person): void {
  const { setup, input, end } = person;
  const expected = rowsOf(
    input.puts.filter(({ at }) => end === null || at < end),
    setup.profile.padding,
  );
  const found = new Map<string, string>();
  for (const [table, key] of [
    [tables.tallies, "key"],
    [tables.groups, "group"],
  ] as const) {
    for (const item of setup.cloud.tables.items(table))
      found.set(rowName(table, String(item[key])), canonicalJson(item));
  }
  for (const name of new Set([...expected.keys(), ...found.keys()])) {
    if (found.get(name) === expected.get(name)) continue;
    setup.stage.violated(`result: ${name} is ${found.get(name)}, must be ${expected.get(name)}`);
  }
}

/** The state of a checkpoint reflects exactly the records before its positions, in their order. */
async function checkState(person: Person, { ref, manifest }: Completed): Promise<void> {
  const { setup, input } = person;
  const task = await restored(person, manifest);
  const expected = rowsOf(includedIn(input, manifest), setup.profile.padding);
  for (const key of new Set(input.puts.map((put) => put.key))) {
    const tally = tallyInState(task, key, setup.profile.padding);
    const found = tally.count === 0 ? undefined : canonicalJson(tally);
    const must = expected.get(rowName(tables.tallies, key));
    if (found !== must)
      setup.stage.violated(`state of checkpoint ${ref.checkpointId}: ${key} is ${found}, must be ${must}`);
  }
}

async function restored(person: Person, manifest: Manifest): Promise<Task> {
  const { blobs } = person.setup.cloud.blobs;
  const task = new Task(person.setup.plan);
  const [ack] = manifest.tasks;
  if (ack !== undefined) {
    await restoreInto(task.tables, ack.snapshot, [0, keyGroupCount - 1], (stored, range) =>
      loadBodyRange(blobs, stored, range),
    );
  }
  return task;
}

function tallyInState(task: Task, key: string, padding: number): Tally {
  const table = task.tables.find(({ operator }) => operator === "tally");
  table?.enter(key);
  const { count, numbers, lastByRest } = (table?.accessors ?? {}) as {
    readonly count: ValueState<number>;
    readonly numbers: ListState<number>;
    readonly lastByRest: MapState<number, number>;
  };
  return {
    key,
    count: count.get(),
    numbers: [...numbers.get()],
    lastByRest: [...lastByRest.entries()],
    padding: paddingOf(padding),
  };
}

/** R7: the history is what was seen to complete, and all but the newest are marked in the bucket. */
async function checkHistory(person: Person): Promise<void> {
  const { setup, invariants } = person;
  const { registers, blobs } = setup.cloud;
  if (invariants.head === null) return;
  const store = {
    pipeline: "tally",
    registers: registers.registers,
    blobs: blobs.blobs,
    clock: new Process("check", setup.stage, () => undefined).clock,
  };
  const listed = (await listCheckpoints(store, invariants.head)).map(({ id }) => id);
  const seen = invariants.completed.map(({ ref }) => Number(ref.checkpointId)).reverse();
  if (String(listed) !== String(seen)) setup.stage.violated(`R7: the history is ${listed}, but ${seen} were completed`);
  const prefix = markerPrefix("tally", invariants.head.incarnation);
  const marked = [...blobs.all().keys()]
    .filter((key) => key.startsWith(prefix))
    .map((key) => Number(key.slice(prefix.length)));
  for (const id of marked) if (!seen.includes(id)) setup.stage.violated(`R7: ${id} is marked and was never completed`);
  for (const id of seen.slice(1))
    if (!marked.includes(id)) setup.stage.violated(`R7: ${id} was completed and is not marked`);
}
