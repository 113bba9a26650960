import type { Clock } from "../ports/clock.js";
import type { Objects } from "../ports/objects.js";
import { again } from "./again.js";

const putsAtOnce = 4;

interface Waiting {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly number: number;
}

/** Objects on their way into the bucket, in their order, some at a time. */
export class StagedObjects {
  #list: readonly Waiting[] = [];
  #added = 0;
  #tail: Promise<void> = Promise.resolve();

  constructor(
    private readonly objects: Objects,
    private readonly clock: Clock,
    private readonly bucket: string,
  ) {}

  /** Bytes that are not in the bucket yet. */
  get waiting(): number {
    return this.#list.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  add(key: string, bytes: Uint8Array): void {
    this.#list = [...this.#list, { key, bytes, number: ++this.#added }];
  }

  /** Resolves when all that was added so far is in the bucket. What fails stays, for the next time. */
  drain(): Promise<void> {
    const last = this.#added;
    const draining = this.#tail.then(() => this.#putUpTo(last));
    this.#tail = draining.catch(() => undefined);
    return draining;
  }

  /** Resolves when nothing is under way, well or badly. */
  settled(): Promise<void> {
    return this.#tail;
  }

  async #putUpTo(last: number): Promise<void> {
    for (;;) {
      const some = this.#list.filter(({ number }) => number <= last).slice(0, putsAtOnce);
      if (some.length === 0) return;
      const put = ({ key, bytes }: Waiting) => again(this.clock, () => this.objects.put(this.bucket, key, bytes));
      const results = await Promise.allSettled(some.map(put));
      const stored = new Set(some.filter((_, index) => results[index]?.status === "fulfilled"));
      this.#list = this.#list.filter((one) => !stored.has(one));
      for (const result of results) if (result.status === "rejected") throw result.reason;
    }
  }
}
