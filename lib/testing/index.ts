/**
 * The test kit of tidemark: pipelines run in memory, ports in memory, faults, virtual time, and what every implementation of a
 * port, source or sink must do.
 */
export { blobsConformance } from "./conformance/blobs.js";
export { exchangeConformance, type OpenExchange } from "./conformance/exchange.js";
export { filesConformance, type OpenFiles } from "./conformance/files.js";
export { type Arrived, functionsConformance, type OpenFunctions } from "./conformance/functions.js";
export { keyedSinkConformance, type OpenKeyedSink } from "./conformance/keyed-sinks.js";
export { logConformance } from "./conformance/log.js";
export type { OpenLog } from "./conformance/log-case.js";
export { logSinkConformance, type OpenLogSink } from "./conformance/log-sinks.js";
export { type OpenObjects, objectsConformance } from "./conformance/objects.js";
export { type OpenRegisters, registersConformance } from "./conformance/registers.js";
export { type Losses, type LossyWay, lossyResources, lossyWay } from "./conformance/sink-losses.js";
export { memoryResources, type ResourcesOf } from "./conformance/sink-resources.js";
export { type OpenSource, sourceConformance } from "./conformance/sources.js";
export { type OpenStreams, type ReadRecord, streamsConformance } from "./conformance/streams.js";
export type { Test, Without } from "./conformance/suite.js";
export { type OpenTables, tablesConformance } from "./conformance/tables.js";
export type { OpenTwoPhaseSink } from "./conformance/two-phase-case.js";
export { twoPhaseSinkConformance } from "./conformance/two-phase-sinks.js";
export { type CrashPoint, type Faulty, type FaultyOptions, faulty } from "./faults/faulty.js";
export { type CallRates, heavyCallFaults, lightCallFaults, noCallFaults } from "./faults/rates.js";
export { type MemoryBlobs, memoryBlobs } from "./memory/blobs.js";
export { type MemoryFiles, memoryFiles } from "./memory/files.js";
export { type Deliveries, type MemoryFunctions, memoryFunctions } from "./memory/functions.js";
export { type MemoryLog, memoryLog } from "./memory/log.js";
export { type MemoryObjects, memoryObjects } from "./memory/objects.js";
export { type MemoryRegisters, memoryRegisters } from "./memory/registers.js";
export { type MemoryTables, memoryTables } from "./memory/tables.js";
export { type RunOptions, type RunResult, runPipeline } from "./run/run-pipeline.js";
export { type Random, randomOf } from "./seeded/random.js";
export { Scheduler, startOfTime, type Timeline } from "./seeded/scheduler.js";
