import { repeat } from "../checkpoint/repeat.js";
import type { CheckpointStore } from "../checkpoint/store.js";
import { awsWorld } from "../compose.js";
import { deadLetterBucket } from "../connectors/dead-letter-bucket.js";
import { deadLetterFolder } from "../connectors/dead-letter-folder.js";
import { lettersInStream } from "../connectors/dead-letter-stream.js";
import { deadLetterTable } from "../connectors/dead-letter-table.js";
import { kinesisLog } from "../connectors/kinesis-log.js";
import { type MarkPlace, markedLetters } from "../connectors/letter-marks.js";
import type { StoredLetters } from "../connectors/stored-letters.js";
import type { Json } from "../model/canonical-json.js";
import { StreamError } from "../model/errors.js";
import { fromUtf8, toUtf8 } from "../model/utf8.js";
import { type DeadLetter, deadLetterSink } from "../pipeline/dead-letter.js";
import type { Sink } from "../pipeline/sink.js";
import { type ObjectsConfig, rowsOf } from "../testing/run/object-rows.js";
import type { OpenedStore } from "./checkpoints.js";
import type { Target } from "./environment.js";

/** What the config of a sink says that this command can read. */
interface TableConfig {
  readonly table: string;
  readonly key: readonly { readonly name: string }[];
}
interface StreamConfig {
  readonly stream: string;
  readonly codec: string;
}
interface FolderConfig {
  readonly folder: string;
  readonly codec: string;
}

/** The dead letters of a pipeline. @throws StreamError `invalid`: it has none, or nobody can read them there */
export function deadLettersOf({ plan, store, target }: OpenedStore): StoredLetters {
  const { name } = plan.graph;
  const sink = plan.sinks.get(deadLetterSink);
  if (sink === undefined)
    throw new StreamError("invalid", `pipeline "${name}" puts no record aside: it has no onBadRecord: "quarantine"`);
  const { clients, bindings } = target;
  switch (sink.kind) {
    case "dynamo-table": {
      const { table, key } = configOf<TableConfig>(sink.config);
      const names = key.map((part) => part.name);
      return deadLetterTable(clients.dynamo, bindings.table(table), names);
    }
    case "file": {
      const { folder, codec } = configOf<FolderConfig>(sink.config);
      checkJson(name, codec);
      return deadLetterFolder(bindings.file(folder));
    }
    case "s3-files": {
      const { bucket, prefix, staging, format } = configOf<ObjectsConfig>(sink.config);
      if (format.name === "json-lines") checkJson(name, configOf<{ readonly codec: string }>(format.config).codec);
      const place = { bucket: bindings.bucket(bucket), prefix, staging, ending: format.ending };
      return deadLetterBucket(clients.s3, place, (bytes) => rowsOf(bytes, format));
    }
    case "kinesis-stream": {
      const { stream, codec } = configOf<StreamConfig>(sink.config);
      checkJson(name, codec);
      const log = kinesisLog(clients.kinesis);
      return markedLetters(marksIn(store), () => lettersInStream(log, store.clock, bindings.stream(stream)));
    }
    default:
      return markedLetters(marksIn(store), () => lettersBySink(name, sink, target));
  }
}

/** What a sink says itself of them. @throws StreamError `invalid`: nothing */
async function lettersBySink(
  pipeline: string,
  sink: Sink<never>,
  { bindings, environment, clients }: Target,
): Promise<readonly DeadLetter[]> {
  const { tables, streams, files, objects, clock } = awsWorld(environment, clients);
  const reader = sink.letters?.({
    ...{ tables, streams, files, objects, clock },
    bind: (kind, logical) => bindings[kind](logical),
    stage: { task: "", session: "" },
  });
  try {
    const found = (await reader?.list()) ?? null;
    if (found !== null) return found;
  } finally {
    await reader?.close();
  }
  throw new StreamError(
    "invalid",
    `dead letters of pipeline "${pipeline}" go to a sink of kind "${sink.kind}", which does not say what it has: give what its open() returns a function letters, or look there`,
  );
}

/** Where the sink itself cannot be marked: in the table of checkpoints, beside the pipeline. */
export const marksIn = ({ pipeline, registers, clock }: Omit<CheckpointStore, "blobs">): MarkPlace => {
  const group = `${pipeline}/put-back`;
  return {
    names: async (prefix) => (await repeat(clock, () => registers.list(group, prefix))).map(({ name }) => name),
    async read(name) {
      const found = await repeat(clock, () => registers.read({ group, name }));
      return found === null ? null : toUtf8(found.body);
    },
    async create(name, bytes) {
      const swapped = await repeat(clock, () => registers.swap({ group, name }, null, fromUtf8(bytes)));
      return swapped.kind === "swapped";
    },
  };
};

const configOf = <C>(config: Json): C => config as unknown as C;

function checkJson(pipeline: string, codec: string): void {
  if (codec === "json") return;
  throw new StreamError(
    "invalid",
    `dead letters of pipeline "${pipeline}" are written by the codec "${codec}", which this command cannot read: it reads those of json()`,
  );
}
