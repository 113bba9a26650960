import { compareKeys, firstWhere } from "./key-order.js";

/** Above this many new keys one sort of all is cheaper than so many insertions. */
const insertionsMax = 64;

/** The keys of a bucket in listing order. Adding is O(1); the order is made when somebody looks. */
export class SortedKeys {
  #sorted: string[] = [];
  readonly #added = new Set<string>();

  /** `key` must not be in the list yet. */
  add(key: string): void {
    this.#added.add(key);
  }

  remove(key: string): void {
    if (this.#added.delete(key)) return;
    const at = firstWhere(this.#sorted, (other) => compareKeys(other, key) >= 0);
    if (this.#sorted[at] === key) this.#sorted.splice(at, 1);
  }

  /** All keys in the order of their UTF-8 bytes; valid until the next change. */
  all(): readonly string[] {
    if (this.#added.size > insertionsMax) {
      this.#sorted = [...this.#sorted, ...this.#added].sort(compareKeys);
    } else {
      for (const key of this.#added) {
        this.#sorted.splice(
          firstWhere(this.#sorted, (other) => compareKeys(other, key) > 0),
          0,
          key,
        );
      }
    }
    this.#added.clear();
    return this.#sorted;
  }
}
