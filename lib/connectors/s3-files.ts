import type { Json } from "../model/canonical-json.js";
import { checkFunction, checkMembers, checkWhole, kindOf, quoted, refuse } from "../pipeline/checks.js";
import type { Sink, TwoPhaseSink } from "../pipeline/sink.js";
import { redirectedPrefix } from "../pipeline/sink-modes.js";
import type { FileFormat } from "./file-format.js";
import { jsonLines } from "./json-lines.js";
import type { PartitionValue } from "./partitions.js";
import { type FilesPlace, S3FilesWriter } from "./s3-files-writer.js";

export interface S3FilesOptions<T> {
  /** The logical name of the bucket. */
  readonly bucket: string;
  /** Where its files are, such as "flights/". The whole bucket where it is not given. */
  readonly prefix?: string;
  /** `jsonLines()` where it is not given; or `csv()`, or `parquet()`. */
  readonly format?: FileFormat<T>;
  /**
   * The partition of a row, as Hive, Athena, Spark and DuckDB know them: `{ year: "2026", airport: "JFK" }` makes it a row of a file
   * beneath `year=2026/airport=JFK/`. Members in the same order for all rows.
   */
  readonly partitionBy?: (row: T) => Readonly<Record<string, PartitionValue>>;
  /** A file that has as many bytes, compressed where it is, is closed, and the next begun: 64 MiB at most, 32 MiB where it is not given. */
  readonly rollBytes?: number;
  /** Partitions of a task between two checkpoints; one more is an error. 1,000 where it is not given. */
  readonly partitionsMax?: number;
  /** Where rows lie before they are shown, and manifests. `_tidemark/` beneath the prefix where it is not given. */
  readonly staging?: string;
}

const mebibyte = 1024 * 1024;
/** One PutObject. */
const rollBytesMax = 64 * mebibyte;
const rollBytesLeast = 1024;
const rollBytesDefault = 32 * mebibyte;
const heldBytesMax = 96 * mebibyte;
const partitionsMaxDefault = 1_000;
/** Each is an entry of the checkpoint. */
const partitionsMaxMost = 10_000;

/** Beneath the prefix. Hive, Athena, Spark and Trino pass over names that begin with "_". */
const stagingDefault = "_tidemark/";

/**
 * Files in an S3 bucket of your own, as a sink: each appears whole, and only with a complete checkpoint (two-phase). Until then its
 * rows lie out of sight as whole objects, which the commit copies within the bucket: no upload of parts stays open between the two,
 * so that nothing can expire.
 *
 * A final name contains incarnation, generation, checkpoint and task, so that it is only ever written with one content (R6). For
 * each task and checkpoint with rows there is a manifest, written when all its files are there.
 *
 * @throws StreamError `invalid` at build: unknown options; at a record: a row that the format refuses, or one partition too many; at
 *   start: the bucket is absent, in another region or refused, or a lifecycle rule would remove what is staged
 * @example stream.to("flights", s3Files({ bucket: "acme-lake", prefix: "flights/", format: jsonLines({ compression: "gzip" }) }))
 * @example s3Files<Flight>({ bucket: "acme-lake", prefix: "flights/", partitionBy: (flight) => ({ airport: flight.origin }) })
 */
export function s3Files<T>(options: S3FilesOptions<T>): Sink<T> {
  const where = `s3Files ${quoted(String(options?.bucket ?? ""))}`;
  checkMembers(where, options, known);
  const { bucket, format = jsonLines<T>(), partitionBy, rollBytes = rollBytesDefault } = options;
  if (typeof bucket !== "string" || bucket === "") refuse(where, `"bucket" must be a name, not ${kindOf(bucket)}`);
  if (typeof format?.open !== "function" || typeof format.ending !== "string")
    refuse(where, `"format" is none; give jsonLines(), csv() or parquet()`);
  if (partitionBy !== undefined) checkFunction(`${where}, "partitionBy"`, partitionBy, "plain");
  checkWhole(`${where}, "rollBytes"`, rollBytes, { least: rollBytesLeast, most: rollBytesMax });
  const { partitionsMax = partitionsMaxDefault } = options;
  checkWhole(`${where}, "partitionsMax"`, partitionsMax, { least: 1, most: partitionsMaxMost });
  const { prefix, staging } = placesOf(where, options);
  const limits = { rollBytes, heldBytesMax, partitionsMax };
  const layout = { prefix, staging, format, partitionBy: partitionBy ?? null, limits } as unknown as FilesPlace;
  const shape = { name: format.name, ending: format.ending, config: format.config };
  const config: Json = { bucket, prefix, staging, format: shape, partitioned: partitionBy !== undefined, rollBytes };
  return {
    kind: "s3-files",
    delivery: "two-phase",
    redirectable: true,
    config,
    open: (resources) =>
      new S3FilesWriter(resources, resources.bind("bucket", bucket), placeIn(layout, resources.suffix ?? null)),
  } satisfies TwoPhaseSink<T>;
}

/** W2: of a redirect, files and manifests lie where readers of the others do not look. */
export function redirectedPlaces(
  { prefix, staging }: Pick<FilesPlace, "prefix" | "staging">,
  suffix: string,
): { readonly prefix: string; readonly staging: string } {
  const redirected = redirectedPrefix(prefix, suffix);
  const isDefault = staging === `${prefix}${stagingDefault}`;
  return {
    prefix: redirected,
    staging: isDefault ? `${redirected}${stagingDefault}` : redirectedPrefix(staging, suffix),
  };
}

const placeIn = (layout: FilesPlace, suffix: string | null): FilesPlace =>
  suffix === null ? layout : { ...layout, ...redirectedPlaces(layout, suffix) };

const known = ["bucket", "prefix", "format", "partitionBy", "rollBytes", "partitionsMax", "staging"];

function placesOf(
  where: string,
  options: { readonly prefix?: string; readonly staging?: string },
): { readonly prefix: string; readonly staging: string } {
  const prefix = folderOf(`${where}, "prefix"`, options.prefix ?? "");
  if (options.staging === undefined) return { prefix, staging: `${prefix}${stagingDefault}` };
  const staging = folderOf(`${where}, "staging"`, options.staging);
  if (staging === "") refuse(where, `"staging" is empty; leave it out, or name a folder`);
  const isHidden = staging.startsWith(prefix) && /^[._]/.test(staging.slice(prefix.length));
  if (staging.startsWith(prefix) && !isHidden)
    refuse(
      where,
      `"staging" lies beneath "prefix", where readers would take what is staged for files; let the folder begin with "_", or lie elsewhere`,
    );
  return { prefix, staging };
}

/** Keys of S3 are no paths: nothing in them is resolved. */
function folderOf(where: string, folder: unknown): string {
  if (typeof folder !== "string" || !folder.isWellFormed())
    return refuse(where, `must be a text, not ${kindOf(folder)}`);
  if (folder === "") return folder;
  const whole = folder.endsWith("/") ? folder : `${folder}/`;
  const names = whole.slice(0, -1).split("/");
  if (names.some((name) => name === "" || name === "." || name === ".."))
    return refuse(where, `${quoted(folder)} must be names with "/" between them, such as "flights/v1/"`);
  return whole;
}
