/** The public API of tidemark. */
export { dynamoTable } from "./connectors/dynamo-table.js";
export { type KinesisSourceOptions, kinesisSource, type Start } from "./connectors/kinesis-source.js";
export { bytes, type Codec, json, text } from "./model/codecs.js";
export type { Duration } from "./model/duration.js";
export { type ErrorKind, StreamError } from "./model/errors.js";
export type { Key } from "./model/keys.js";
export { list, map, value } from "./pipeline/declare-state.js";
export type { PipelineOptions } from "./pipeline/options.js";
export { isPipeline, type Pipeline, pipeline } from "./pipeline/pipeline.js";
export type { Plan } from "./pipeline/plan.js";
export type { Sink } from "./pipeline/sink.js";
export type { Source } from "./pipeline/source.js";
export type { ListState, MapState, StateSpec, ValueState } from "./pipeline/state-spec.js";
export type {
  Accessors,
  Context,
  Emitted,
  Flow,
  KeyedStream,
  Operator,
  Output,
  Position,
  StateSpecs,
  Stream,
} from "./pipeline/stream.js";
