import { forkOf, removeFork } from "../../checkpoint/fork-removal.js";
import { type CheckpointStore, readHead, readManifest } from "../../checkpoint/store.js";
import { Process } from "../faults/process.js";
import type { Person } from "./person.js";

/**
 * W2: a fork is whole, or it is no pipeline; what is left of one is known for a fork's, and is removed without a trace. Whatever was
 * collected of its origin meanwhile.
 */
export async function checkForks(person: Person): Promise<void> {
  for (const pipeline of person.forks) {
    const { clock } = new Process("check", person.setup.stage, () => undefined);
    const { registers, blobs } = person.setup.cloud;
    const store = { pipeline, registers: registers.registers, blobs: blobs.blobs, clock };
    await checkWhole(person, store);
    await checkRemoved(person, store);
  }
}

async function checkWhole({ setup: { stage }, invariants }: Person, store: CheckpointStore): Promise<void> {
  const head = (await readHead(store))?.value;
  if (head === undefined) return;
  const { status, completed: ref, incarnation } = head;
  if (status !== "stopped" || ref === null) return stage.violated(`W2: ${store.pipeline} is ${status}`);
  try {
    const manifest = await readManifest(store, incarnation, ref);
    if (manifest.tasks.some(({ committables }) => "kind" in committables || committables.length > 0))
      stage.violated(`C2: ${store.pipeline} has its origin's output`);
    await invariants.lineage.checkCopy({ ref, manifest });
  } catch (error) {
    stage.violated(`W2: ${store.pipeline} is not whole: ${error}`);
  }
}

async function checkRemoved({ setup: { stage, cloud } }: Person, store: CheckpointStore): Promise<void> {
  const left = () => [
    ...cloud.registers.all().flatMap(({ key }) => (key.group === store.pipeline ? [key.name] : [])),
    ...[...cloud.blobs.keys()].filter((key) => key.startsWith(`${store.pipeline}/`)),
  ];
  if (left().length > 0 && (await forkOf(store)) === null)
    stage.violated(`W2: ${left()} is left of ${store.pipeline}, and nothing says whose it is`);
  await removeFork(store);
  if (left().length > 0) stage.violated(`W2: ${left()} is left of ${store.pipeline}, which was removed`);
}
