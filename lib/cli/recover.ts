import { Command, InvalidArgumentError } from "commander";
import { planRecovery, type Recovery, recover } from "../checkpoint/recover.js";
import { dynamoTables } from "../connectors/dynamo-tables.js";
import { provisioner, registersKey } from "../connectors/provision.js";
import { StreamError } from "../model/errors.js";
import { libraryVersion } from "../model/library.js";
import { type OpenedStore, type StoreFlags, withStore } from "./checkpoints.js";

interface Flags extends StoreFlags {
  readonly json: boolean;
  readonly dryRun: boolean;
  readonly incarnation?: string;
  readonly checkpoint?: number;
}

export function recoverCommand(): Command {
  return new Command("recover")
    .description("rebuild what the table had of a pipeline, from its checkpoints in the bucket alone")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default")
    .option("--dry-run", "say what would be done, and change nothing", false)
    .option("--incarnation <id>", "which one to go on with, where several have checkpoints")
    .option("--checkpoint <id>", "go on from this one (default: the newest that was complete)", checkpointNumber)
    .option("--data <folder>", "where the embedded cloud keeps its data (default: .tidemark/cloud of the project)")
    .option("--aws", "work on the account that the SDK finds", false)
    .option("--json", "print one JSON object", false)
    .addHelpText("after", notes)
    .action(async (file: string, flags: Flags) => {
      const done = await withStore(file, flags, (opened) => run(opened, flags));
      process.stdout.write(flags.json ? `${JSON.stringify(asJson(done, flags))}\n` : recoveryText(done, flags));
    });
}

const notes = `
For a table, or the item "head" of a pipeline in it, that was lost. Nothing is done where there is a head. The pipeline is then
stopped: the next start goes on from its last checkpoint. Before it, make sure that nothing of the pipeline runs any more.

Members with --json: pipeline, incarnation, generation, checkpoint, restorable (ids), notes, done (false with --dry-run).`;

async function run(opened: OpenedStore, flags: Flags): Promise<Recovery> {
  const { store, plan } = opened;
  await haveTable(opened, flags);
  const recovery = await planRecovery(store, {
    incarnation: flags.incarnation ?? null,
    checkpoint: flags.checkpoint ?? null,
    fingerprint: plan.fingerprint,
    library: libraryVersion,
  });
  if (!flags.dryRun) await recover(store, recovery);
  return recovery;
}

/** On this machine the table is made, as `dev` makes it; in an account it is somebody's to make. */
async function haveTable({ target, where }: OpenedStore, flags: Flags): Promise<void> {
  const { table } = target.environment;
  const described = await dynamoTables(target.clients.dynamo).describe(table);
  if (described.kind !== "absent") return;
  if (!target.local || flags.dryRun)
    throw new StreamError(
      "invalid",
      `there is no table: ${where}; create it with the string keys "pk" (partition) and "sk" (sort), then run recover again`,
    );
  await provisioner(target.clients).table(table, registersKey);
}

function checkpointNumber(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It is no id of a checkpoint: write a whole number from 1.");
}

const asJson = ({ head, record, completed, restorable, notes: found }: Recovery, flags: Flags) => ({
  pipeline: record.pipeline,
  incarnation: head.incarnation,
  generation: head.generation,
  checkpoint: completed.checkpointId,
  restorable: restorable.map(({ ref }) => ref.checkpointId),
  notes: found,
  done: !flags.dryRun,
});

function recoveryText({ head, record, completed, restorable, notes: found }: Recovery, flags: Flags): string {
  const what = flags.dryRun ? "would be rebuilt" : "is rebuilt";
  const ids = restorable.map(({ ref }) => ref.checkpointId);
  return [
    `the head of pipeline "${record.pipeline}" ${what}: incarnation ${head.incarnation}, generation ${head.generation}, stopped at checkpoint ${completed.checkpointId}`,
    `it can be restored from ${ids.length} ${ids.length === 1 ? "checkpoint" : "checkpoints"}: ${ids.join(", ")}`,
    ...found,
    flags.dryRun ? "Nothing was changed." : "The next start goes on from there.",
    "",
  ].join("\n");
}
