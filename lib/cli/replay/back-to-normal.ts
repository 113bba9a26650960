import { type CheckpointStore, readGenerationRecord, readManifest } from "../../checkpoint/store.js";
import type { CheckpointRef, Manifest } from "../../model/checkpoints.js";
import { StreamError } from "../../model/errors.js";
import type { GenerationRecord, Head } from "../../model/head.js";
import type { Plan } from "../../pipeline/plan.js";
import { modeOf, type SinkModes, whyNot } from "../../pipeline/sink-modes.js";

/**
 * W2: a redirect or a dry run ends where its sinks write to their own targets again. A sink that cannot overwrite may do so from a
 * checkpoint behind which none of its output was shown there.
 *
 * @throws StreamError `invalid`, naming the sinks that would have rows twice
 */
export async function checkNormal(
  store: CheckpointStore,
  head: Head,
  plan: Plan,
  asked: { readonly from: CheckpointRef; readonly modes: SinkModes },
): Promise<void> {
  const { from, modes } = asked;
  const back = [...plan.sinks].flatMap(([name, sink]) =>
    modes[name]?.kind === "normal" && whyNot(sink, "overwrite") !== null ? [name] : [],
  );
  if (back.length === 0) return;
  if (from.checkpointId < head.floor) throw twice(store, from, back);
  const behind = await recordsBehind(store, head, from);
  const written = (name: string) =>
    behind.some(({ sinks }) => ["normal", "overwrite"].includes(modeOf(sinks, name).kind));
  const repeated = back.filter(written);
  if (repeated.length > 0) throw twice(store, from, repeated);
}

const twice = ({ pipeline }: CheckpointStore, { checkpointId }: CheckpointRef, sinks: readonly string[]) =>
  new StreamError(
    "invalid",
    `pipeline "${pipeline}": normal output of ${sinks.map((sink) => `"${sink}"`).join(", ")} was shown after checkpoint ${checkpointId}, and would be there twice; go back to the last checkpoint before the redirect or dry run, or choose one of these (W2)`,
  );

/** Of the generations that made a complete checkpoint right behind this one, in whichever line. */
async function recordsBehind(
  store: CheckpointStore,
  head: Head,
  from: CheckpointRef,
): Promise<readonly GenerationRecord[]> {
  const found: GenerationRecord[] = [];
  for (const tip of [head.completed, ...head.left]) {
    for (let ref = tip; ref !== null && ref.checkpointId > from.checkpointId; ) {
      const manifest: Manifest = await readManifest(store, head.incarnation, ref);
      const { generation, generationRecord, previous } = manifest;
      if (previous?.sha256 === from.sha256)
        found.push(await readGenerationRecord(store, { ...head, generation, generationRecord }));
      ref = previous;
    }
  }
  return found;
}
