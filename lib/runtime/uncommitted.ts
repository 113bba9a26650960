import type { Json } from "../model/canonical-json.js";
import type { Committable } from "../model/checkpoints.js";
import type { Head } from "../model/head.js";

/** What is prepared and not confirmed committed: every ack lists it (C1). */
export class Uncommitted {
  #list: readonly Committable[];

  constructor(list: readonly Committable[]) {
    this.#list = list;
  }

  get list(): readonly Committable[] {
    return this.#list;
  }

  /** What sinks have staged, and nobody has shown yet. */
  stagedBy(sink: string): readonly Json[] {
    return this.#list.flatMap((item) => (item.kind === "two-phase" && item.sink === sink ? [item.prepared] : []));
  }

  add(prepared: readonly Committable[]): void {
    this.#list = [...this.#list, ...prepared];
  }

  drop(committed: readonly Committable[]): void {
    const done = new Set(committed);
    this.#list = this.#list.filter((item) => !done.has(item));
  }

  isCovered(head: Head): boolean {
    return this.#covered(head).length > 0;
  }

  /** Completed checkpoints with output that is not committed (B1). */
  checkpoints(head: Head): number {
    return new Set(this.#covered(head).map((item) => item.checkpointId)).size;
  }

  #covered(head: Head): readonly Committable[] {
    return this.#list.filter((item) => item.checkpointId <= (head.completed?.checkpointId ?? 0));
  }
}
