import type { DevListener } from "./events.js";

/** Measures from the end of a killed session to the first record that a later generation processes. */
export class Recovery {
  #killedAt: number | null = null;
  /** The newest generation of which a record was taken. */
  #generation = 0;
  readonly #listener: DevListener;

  constructor(listener: DevListener) {
    this.#listener = listener;
  }

  /** Of several kills before a record flows again the first counts. */
  onKilled(): void {
    this.#killedAt ??= performance.now();
  }

  onLog(line: string): void {
    if (!line.includes('"flowing"')) return;
    const flowing = parse(line);
    if (flowing?.event !== "flowing" || typeof flowing.generation !== "number") return;
    // The other tasks of the generation that was killed may still begin.
    if (flowing.generation <= this.#generation) return;
    this.#generation = flowing.generation;
    if (this.#killedAt === null) return;
    const seconds = (performance.now() - this.#killedAt) / 1_000;
    this.#killedAt = null;
    this.#listener({ event: "recovered", generation: flowing.generation, seconds });
  }
}

function parse(line: string): { readonly event?: unknown; readonly generation?: unknown } | null {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
