import { byteOrder } from "./byte-order.js";

/** A map whose names stand in byte order, so that what begins alike is found without looking at the rest. */
export class SortedMap<V> {
  readonly #values = new Map<string, V>();
  readonly #names: string[] = [];

  get(name: string): V | undefined {
    return this.#values.get(name);
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  set(name: string, value: V): void {
    if (!this.#values.has(name)) this.#names.splice(this.#placeOf(name), 0, name);
    this.#values.set(name, value);
  }

  delete(name: string): void {
    if (this.#values.delete(name)) this.#names.splice(this.#placeOf(name), 1);
  }

  /** The names as they are now. */
  names(): readonly string[] {
    return [...this.#names];
  }

  /** What begins with `prefix`, from `from` on, in byte order, as it is now; at most `limit`. */
  list(prefix: string, from = "", limit: number = Number.POSITIVE_INFINITY): readonly (readonly [string, V])[] {
    const found: (readonly [string, V])[] = [];
    const begin = this.#placeOf(byteOrder(prefix, from) < 0 ? from : prefix);
    for (let at = begin; at < this.#names.length && found.length < limit; at += 1) {
      const name = this.#names[at] as string;
      if (!name.startsWith(prefix)) break;
      found.push([name, this.#values.get(name) as V]);
    }
    return found;
  }

  /** Of the first name that is not before this one. */
  #placeOf(name: string): number {
    let [low, high] = [0, this.#names.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (byteOrder(this.#names[middle] as string, name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
