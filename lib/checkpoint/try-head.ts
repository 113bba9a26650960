import { StreamError } from "../model/errors.js";
import type { Head } from "../model/head.js";
import { type CheckpointStore, swapHead } from "./store.js";

/** True where it is known to be won. Lost, or without an answer: the facts are read again, and the item says (R5). */
export async function tryHead(store: CheckpointStore, version: number | null, head: Head): Promise<boolean> {
  try {
    return (await swapHead(store, version, head)).kind === "swapped";
  } catch (error) {
    if (!(error instanceof StreamError) || (error.kind !== "ambiguous" && error.kind !== "transient")) throw error;
    return false;
  }
}
