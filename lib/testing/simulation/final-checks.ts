import { listCheckpoints } from "../../checkpoint/history.js";
import { markerPrefix } from "../../checkpoint/names.js";
import type { CheckpointRef } from "../../model/checkpoints.js";
import { Process } from "../faults/process.js";
import { checkForks } from "./forks.js";
import { elsewhere, mainOf } from "./oracle.js";
import type { Person } from "./person.js";
import { expectedOf, isGivenUp } from "./rest.js";
import { pipelineName } from "./tally-pipeline.js";
import { folderOf, folders } from "./targets.js";

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
  await checkForks(person);
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

/**
 * W2: files are of generations that write there. A reader that follows the lineage by their names sees once each record that a
 * generation took whose files are there; of one that wrote elsewhere, none.
 */
async function checkFiles(person: Person): Promise<void> {
  const { stage, cloud } = person.setup;
  const { outputs } = person.invariants;
  const { files } = cloud.files;
  const parts = lineageOf(person);
  for (const folder of folders) {
    const found: number[] = [];
    for (const name of await files.list(folder)) {
      const [, , generation, checkpoint] = name.split("-");
      const target = folderOf(outputs.get(Number(generation))?.modes ?? {});
      if (target !== folder) stage.violated(`W2: ${folder}/${name} is of a generation that writes to ${target}`);
      const part = parts.find((one) => one.generation === Number(generation));
      if (part === undefined || Number(checkpoint) > (part.to?.checkpointId ?? 0)) continue;
      const text = Buffer.from((await files.read(`${folder}/${name}`)) ?? []).toString("utf8");
      found.push(...text.split("\n").flatMap((line) => (line === "" ? [] : [(JSON.parse(line) as { n: number }).n])));
    }
    checkFolder(person, folder, found, parts);
  }
}

function checkFolder(person: Person, folder: string, found: readonly number[], parts: readonly LineagePart[]): void {
  const { stage, apart, profile } = person.setup;
  const { outputs, lineage } = person.invariants;
  const must = new Set<number>();
  for (const { generation, from, to } of parts) {
    if (folderOf(outputs.get(generation)?.modes ?? {}) !== folder) continue;
    const before = new Set(lineage.includedIn(from));
    const taken = lineage.includedIn(to).filter((put) => !before.has(put));
    for (const { n } of elsewhere(mainOf(taken, profile.shape), { apart })) must.add(n);
  }
  const all = profile.alignment === "at-least-once" ? [...new Set(found)] : [...found];
  const wanted = [...must].sort((a, b) => a - b);
  if (all.sort((a, b) => a - b).join() !== wanted.join())
    stage.violated(`result: the files in ${folder} have ${found}, must have ${wanted}`);
}

/** A generation of the lineage: from what it was opened, and up to which checkpoint it counts. */
interface LineagePart {
  readonly generation: number;
  readonly from: CheckpointRef | null;
  readonly to: CheckpointRef | null;
}

/** A generation counts up to the checkpoint that a later one of the lineage was opened from. */
function lineageOf({ invariants: { origins, head } }: Person): readonly LineagePart[] {
  const parts: LineagePart[] = [];
  let [generation, to] = [Number(head?.generation ?? 0), head?.completed ?? null];
  for (;;) {
    const from = origins.get(generation) ?? null;
    parts.push({ generation, from, to });
    // What was prepared for a checkpoint of a generation between was never covered.
    if (from === null) return parts;
    [generation, to] = [from.generation, from];
  }
}

/** R7: the history is what was seen to complete, and all but the newest are marked in the bucket. */
async function checkHistory(person: Person): Promise<void> {
  const { setup, invariants } = person;
  const { registers, blobs } = setup.cloud;
  const { head, lineage } = invariants;
  if (head === null) return;
  const { clock } = new Process("check", setup.stage, () => undefined);
  const store = { pipeline: pipelineName, registers: registers.registers, blobs: blobs.blobs, clock };
  const listed = (await listCheckpoints(store, head)).map(({ id }) => Number(id));
  const seen = lineage.completed
    .filter((one) => invariants.keeping.isRestorable(head, one))
    .map(({ ref }) => Number(ref.checkpointId))
    .reverse();
  if (listed.join() !== seen.join()) setup.stage.violated(`R7: the history is ${listed}, but ${seen} were completed`);
  const prefix = markerPrefix(pipelineName, head.incarnation);
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
