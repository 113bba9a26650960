/** Of each key the newest row, in the order in which the keys first came. What came since a mark may be taken back. */
export class NewestRows<R> {
  #rows = new Map<string, R>();
  /** Since the mark, oldest first: what stood there before. null: nobody takes back. */
  #before: { readonly key: string; readonly row: R | undefined }[] | null = null;

  get size(): number {
    return this.#rows.size;
  }

  set(key: string, row: R): void {
    if (this.#before !== null) this.#before.push({ key, row: this.#rows.get(key) });
    this.#rows.set(key, row);
  }

  mark(): void {
    if (this.#before === null) this.#before = [];
    else if (this.#before.length > 0) this.#before.length = 0;
  }

  /** @returns how many rows were taken back */
  rollback(): number {
    const before = this.#before ?? [];
    for (const { key, row } of before.reverse()) {
      if (row === undefined) this.#rows.delete(key);
      else this.#rows.set(key, row);
    }
    this.#before = [];
    return before.length;
  }

  /** All rows. It begins empty again. */
  take(): readonly R[] {
    const taken = [...this.#rows.values()];
    this.#rows = new Map();
    return taken;
  }
}
