import { listCheckpoints } from "../../checkpoint/history.js";
import { markerPrefix } from "../../checkpoint/names.js";
import { expectedOf, isGivenUp, type Person } from "./person.js";
import { Process } from "./process.js";

/** After the run: the tables, the history, and the markers. */
export async function checkEnd(person: Person): Promise<void> {
  if (!isGivenUp(person)) person.invariants.lineage.checkResult(expectedOf(person));
  await checkHistory(person);
}

/** R7: the history is what was seen to complete, and all but the newest are marked in the bucket. */
async function checkHistory(person: Person): Promise<void> {
  const { setup, invariants } = person;
  const { registers, blobs } = setup.cloud;
  const { head, lineage } = invariants;
  if (head === null) return;
  const { clock } = new Process("check", setup.stage, () => undefined);
  const store = { pipeline: "tally", registers: registers.registers, blobs: blobs.blobs, clock };
  const listed = (await listCheckpoints(store, head)).map(({ id }) => Number(id));
  const seen = lineage.completed.map(({ ref }) => Number(ref.checkpointId)).reverse();
  if (listed.join() !== seen.join()) setup.stage.violated(`R7: the history is ${listed}, but ${seen} were completed`);
  const prefix = markerPrefix("tally", head.incarnation);
  const keys = [...blobs.all().keys()].filter((key) => key.startsWith(prefix));
  const marked = keys.map((key) => Number(key.slice(prefix.length)));
  for (const id of marked) if (!seen.includes(id)) setup.stage.violated(`R7: ${id} is marked and was never completed`);
  for (const id of seen.slice(1))
    if (!marked.includes(id)) setup.stage.violated(`R7: ${id} was completed and is not marked`);
}
