/** The public API of tidemark. */
export { dynamoTable } from "./connectors/dynamo-table.js";
export { fileSink } from "./connectors/file-sink.js";
export { type FileSourceOptions, fileSource } from "./connectors/file-source.js";
export { type KinesisSourceOptions, kinesisSource, type Start } from "./connectors/kinesis-source.js";
export { bytes, type Codec, type JsonCodec, json, type SchemaCodec, text } from "./model/codecs.js";
export type { Duration } from "./model/duration.js";
export { type ErrorKind, StreamError } from "./model/errors.js";
export { type GzipOptions, gzip } from "./model/gzip.js";
export type { Key } from "./model/keys.js";
export type { DeadLetter } from "./pipeline/dead-letter.js";
export { list, map, value } from "./pipeline/declare-state.js";
export { type Deletion, deleted } from "./pipeline/deletion.js";
export type { PipelineOptions } from "./pipeline/options.js";
export { isPipeline, type Pipeline, pipeline } from "./pipeline/pipeline.js";
export type { Plan } from "./pipeline/plan.js";
export type { EagerSink, HeldSink, Sink, TwoPhaseSink } from "./pipeline/sink.js";
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
