import { deadLetterBucket } from "../connectors/dead-letter-bucket.js";
import { deadLetterFolder } from "../connectors/dead-letter-folder.js";
import { deadLetterTable } from "../connectors/dead-letter-table.js";
import type { StoredLetters } from "../connectors/stored-letters.js";
import type { Json } from "../model/canonical-json.js";
import { StreamError } from "../model/errors.js";
import { deadLetterSink } from "../pipeline/dead-letter.js";
import { type ObjectsConfig, rowsOf } from "../testing/run/object-rows.js";
import type { OpenedStore } from "./checkpoints.js";

/** What the config of a sink says that this command can read. */
interface TableConfig {
  readonly table: string;
  readonly key: readonly { readonly name: string }[];
}
interface FolderConfig {
  readonly folder: string;
  readonly codec: string;
}

/** The dead letters of a pipeline. @throws StreamError `invalid`: it has none, or nobody can read them there */
export function deadLettersOf({ plan, target }: OpenedStore): StoredLetters {
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
    default:
      throw new StreamError(
        "invalid",
        `dead letters of pipeline "${name}" go to a sink of kind "${sink.kind}", which this command cannot read: it reads those of dynamoTable, fileSink and s3Files`,
      );
  }
}

const configOf = <C>(config: Json): C => config as unknown as C;

function checkJson(pipeline: string, codec: string): void {
  if (codec === "json") return;
  throw new StreamError(
    "invalid",
    `dead letters of pipeline "${pipeline}" are written by the codec "${codec}", which this command cannot read: it reads those of json()`,
  );
}
