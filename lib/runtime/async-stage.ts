import type { Called } from "./calls.js";

/** An element on its way through a `mapAsync`. `place` is where its record stood. */
interface Element<P> {
  readonly place: P;
  called: Called | null;
}

export interface AsyncStageOptions<P> {
  readonly concurrency: number;
  readonly ordered: boolean;
  readonly start: (value: unknown) => Promise<Called>;
  /** A result is there: {@link AsyncStage.ready} gives it. */
  readonly wake: () => void;
  readonly place: () => P;
}

/** The elements of one `mapAsync` that are not passed on yet: waiting, called, or with an answer that waits for its turn. */
export class AsyncStage<P> {
  readonly #options: AsyncStageOptions<P>;
  /** Called and not passed on, in the order of coming. */
  readonly #called: Element<P>[] = [];
  /** One record may bring many elements: those beyond the bound wait here. */
  readonly #waiting: { readonly place: P; readonly value: unknown }[] = [];
  #marked = 0;

  constructor(options: AsyncStageOptions<P>) {
    this.#options = options;
  }

  /** Elements that a cut must wait for (B2). */
  get inFlight(): number {
    return this.#called.length + this.#waiting.length;
  }

  /** No more records should be taken. */
  get isFull(): boolean {
    return this.#called.length >= this.#options.concurrency;
  }

  /** The call is made by {@link call}, once the record that brings the element is processed. */
  take(value: unknown): void {
    this.#waiting.push({ place: this.#options.place(), value });
  }

  /** Elements that come now may be taken back, until the next `mark` or `call`. */
  mark(): void {
    this.#marked = this.#waiting.length;
  }

  rollback(): void {
    this.#waiting.length = this.#marked;
  }

  /** Calls what waits, as far as the bound allows. */
  call(): void {
    while (this.#waiting.length > 0 && !this.isFull) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const element: Element<P> = { place: next.place, called: null };
      this.#called.push(element);
      this.#options.start(next.value).then((called) => {
        element.called = called;
        this.#options.wake();
      });
    }
  }

  /** The next element that has its answer, and its turn. */
  ready(): { readonly place: P; readonly called: Called } | null {
    const at = this.#options.ordered ? 0 : this.#called.findIndex(({ called }) => called !== null);
    const element = this.#called[at];
    if (element === undefined || element.called === null) return null;
    this.#called.splice(at, 1);
    return { place: element.place, called: element.called };
  }
}
