/** Constructs of the AWS CDK that deploy pipelines. */
export type { AlarmOptions, PipelineAlarms } from "./alarms.js";
export type { TidemarkBindings } from "./bindings.js";
export { TidemarkEnvironment, type TidemarkEnvironmentProps } from "./environment.js";
export { type SinkGrant, TidemarkPipeline, type TidemarkPipelineProps } from "./pipeline.js";
