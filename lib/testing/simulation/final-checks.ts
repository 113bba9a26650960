import { listCheckpoints } from "../../checkpoint/history.js";
import { markerPrefix } from "../../checkpoint/names.js";
import { Process } from "../faults/process.js";
import { elsewhere, mainOf } from "./oracle.js";
import { expectedOf, isGivenUp, type Person } from "./person.js";
import { folder } from "./tally-pipeline.js";

/** After the run: the tables, the files, the history, the markers, and what is left in the stores. */
export async function checkEnd(person: Person): Promise<void> {
  const { invariants, setup } = person;
  if (isGivenUp(person)) checkLoss(person);
  else {
    invariants.lineage.checkResult(expectedOf(person));
    if (setup.profile.variant.files) await checkFiles(person);
  }
  if (invariants.head !== null) invariants.keeping.checkSavepoints(invariants.head);
  await checkHistory(person);
  if (setup.profile.collects && invariants.head !== null) invariants.keeping.checkLeftovers(invariants.head);
}

/** P1, N3: where nothing went wrong, and nobody kept it from reading, it says that records are lost only where some are. */
function checkLoss(person: Person): void {
  const { stage, profile } = person.setup;
  const { crash, pause, lost, slow, log, few, delivery, overtime } = profile.faults;
  // A child promises what its parents had been read to, which may be long ago when shards follow each other fast.
  const others = [profile.wishes, profile.savepoints, profile.skewMillis, profile.reshards];
  const isGentle = [crash, pause, lost, slow, log, few, delivery, overtime, ...others].every((rate) => rate === 0);
  if (!isGentle || profile.outage !== null || profile.slowService !== "none") return;
  const taken = new Set(person.invariants.lineage.included);
  const ended = person.invariants.head?.endedAt ?? stage.scheduler.now;
  const isLost = (at: number) => at + profile.retentionMillis <= ended;
  if (expectedOf(person).some((put) => !taken.has(put) && isLost(put.at))) return;
  stage.violated("P1: the pipeline gave up, although no record was lost and nothing went wrong");
}

/** W2: a reader that follows the lineage by the names of the files sees each record once. */
async function checkFiles(person: Person): Promise<void> {
  const { stage, cloud } = person.setup;
  const { files } = cloud.files;
  const found: number[] = [];
  for (const name of await files.list(folder)) {
    const [, , generation, checkpoint] = name.split("-");
    if (!isInLineage(person, Number(generation), Number(checkpoint))) continue;
    const text = Buffer.from((await files.read(`${folder}/${name}`)) ?? []).toString("utf8");
    found.push(...text.split("\n").flatMap((line) => (line === "" ? [] : [(JSON.parse(line) as { n: number }).n])));
  }
  const { apart, profile } = person.setup;
  const must = elsewhere(mainOf(expectedOf(person), profile.shape), { apart }).map(({ n }) => n);
  const all = profile.alignment === "at-least-once" ? [...new Set(found)] : found;
  if (all.sort((a, b) => a - b).join() !== must.join())
    stage.violated(`result: the files have ${found}, must have ${must}`);
}

/** A generation counts up to the checkpoint that a later one of the lineage was opened from. */
function isInLineage(person: Person, generation: number, checkpoint: number): boolean {
  const { origins, head } = person.invariants;
  let [at, last] = [Number(head?.generation ?? 0), Number.POSITIVE_INFINITY];
  for (;;) {
    if (at === generation) return checkpoint <= last;
    // What was prepared for a checkpoint of a generation between was never covered.
    const origin = origins.get(at);
    if (origin === undefined || origin === null) return false;
    [at, last] = [origin.generation, origin.checkpointId];
  }
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
  const seen = lineage.completed
    .filter((one) => invariants.keeping.isRestorable(head, one))
    .map(({ ref }) => Number(ref.checkpointId))
    .reverse();
  if (listed.join() !== seen.join()) setup.stage.violated(`R7: the history is ${listed}, but ${seen} were completed`);
  const prefix = markerPrefix("tally", head.incarnation);
  const marked = new Set<number>();
  for await (const { key } of blobs.blobs.list(prefix)) marked.add(Number(key.slice(prefix.length)));
  const completed = new Set(lineage.completed.map(({ ref }) => Number(ref.checkpointId)));
  for (const id of marked) if (!completed.has(id)) setup.stage.violated(`R7: ${id} is marked and was never completed`);
  // Whoever completes the next one repairs a marker: after the last one of a lineage nobody comes.
  const missing = seen.filter(
    (id) => !marked.has(id) && !invariants.tips.has(id) && id !== head.completed?.checkpointId,
  );
  if (missing.length > 0) setup.stage.violated(`R7: ${missing} were completed and are not marked`);
}
