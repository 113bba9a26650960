/** Events from many activities for one reader, in the order in which they were posted. */
export class Mailbox<E> {
  #events: E[] = [];
  #wake: (() => void) | null = null;

  post(event: E): void {
    this.#events.push(event);
    this.#wake?.();
    this.#wake = null;
  }

  /** The oldest event; waits for one where there is none. One reader at a time. */
  async next(): Promise<E> {
    while (this.#events.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#events.shift() as E;
  }
}
