/** The public API of tidemark. */

export type { Compression } from "./connectors/compression.js";
export { type CsvOptions, type CsvValue, csv } from "./connectors/csv.js";
export { dynamoCounters } from "./connectors/dynamo-counters.js";
export { dynamoTable } from "./connectors/dynamo-table.js";
export type { FileFormat, OpenFile } from "./connectors/file-format.js";
export { fileSink } from "./connectors/file-sink.js";
export { type FileSourceOptions, fileSource } from "./connectors/file-source.js";
export { jsonLines } from "./connectors/json-lines.js";
export { type KinesisSourceOptions, kinesisSource, type Start } from "./connectors/kinesis-source.js";
export { type KinesisStreamOptions, kinesisStream } from "./connectors/kinesis-stream.js";
export { type ParquetOptions, parquet } from "./connectors/parquet.js";
export type { ParquetRow, ParquetType } from "./connectors/parquet-columns.js";
export type { PartitionValue } from "./connectors/partitions.js";
export { type S3FilesOptions, s3Files } from "./connectors/s3-files.js";
export type { TableCondition } from "./connectors/table-conditions.js";
export { bytes, type Codec, type JsonCodec, json, type SchemaCodec, text } from "./model/codecs.js";
export { type Deduped, type DedupeState, dedupe, emptyDedupe, inheritDedupe } from "./model/dedupe.js";
export type { Duration } from "./model/duration.js";
export { type ErrorKind, StreamError } from "./model/errors.js";
export { type GzipOptions, gzip } from "./model/gzip.js";
export type { Key } from "./model/keys.js";
export type { DeadLetter } from "./pipeline/dead-letter.js";
export { list, map, value } from "./pipeline/declare-state.js";
export { type Deletion, deleted, deletedKey } from "./pipeline/deletion.js";
export { type Idempotent, type IdempotentTarget, idempotent, type KeyedWrite } from "./pipeline/idempotent.js";
export type { PipelineOptions } from "./pipeline/options.js";
export { isPipeline, type Pipeline, pipeline } from "./pipeline/pipeline.js";
export type { Plan } from "./pipeline/plan.js";
export type {
  EagerSink,
  HeldSink,
  LogSink,
  Segment,
  SegmentToken,
  Sink,
  SinkResources,
  TargetKind,
  TwoPhaseSink,
} from "./pipeline/sink.js";
export type { OpenTarget, SinkDescription, TargetResources } from "./pipeline/sink-target.js";
export type { Source } from "./pipeline/source.js";
export type { ListState, MapState, StateSpec, ValueState } from "./pipeline/state-spec.js";
export type {
  Accessors,
  AsyncOptions,
  ConnectedOperator,
  ConnectedStreams,
  Context,
  Emitted,
  Flow,
  KeyedStream,
  Operator,
  Output,
  Position,
  ReduceOptions,
  RowOf,
  StateSpecs,
  Stream,
} from "./pipeline/stream.js";
export { type Leftover, type TwoPhase, type TwoPhaseTarget, twoPhase } from "./pipeline/two-phase.js";
export { type LogTarget, type WriteAheadLog, writeAheadLog } from "./pipeline/write-ahead-log.js";
