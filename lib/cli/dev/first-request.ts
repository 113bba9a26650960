import { type CheckpointStore, readDesired, readGenerationRecord, readHead } from "../../checkpoint/store.js";
import type { Start } from "../../checkpoint/wishes.js";
import type { SinkModes } from "../../pipeline/sink-modes.js";
import { storeOf, type Target } from "../environment.js";
import { absentRegisters } from "./resources.js";

/** What a start goes on from, and what its sinks are then. */
export interface FirstRequest {
  /** Null: the last checkpoint, as any start. */
  readonly start: Start | null;
  readonly modes: SinkModes;
}

/**
 * The checkpoint that somebody has asked to go on from, while nothing ran that could; and the modes that the sinks will be in.
 *
 * @param given what this start itself was asked for
 */
export async function firstRequest(pipeline: string, target: Target, given: Start | null): Promise<FirstRequest> {
  // Made, or missed, by what follows.
  if ((await absentRegisters(target)).length > 0) return { start: given, modes: given?.sinks ?? {} };
  const store = storeOf(pipeline, target);
  const head = (await readHead(store))?.value ?? null;
  const record = head === null ? null : await readGenerationRecord(store, head);
  const start = given ?? (await openRestore(store, record?.requestId ?? null));
  return { start, modes: { ...record?.sinks, ...start?.sinks } };
}

async function openRestore(store: CheckpointStore, carriedOut: string | null): Promise<Start | null> {
  const request = (await readDesired(store))?.value.request ?? null;
  if (request === null || request.kind !== "restore" || request.id === carriedOut) return null;
  const { id, from, sinks, dropped } = request;
  return { id, from, sinks, dropped };
}
