import { StreamError } from "../model/errors.js";
import { type Millis, millis } from "../model/ids.js";
import type { Clock } from "../ports/clock.js";
import type { Exchange, Sender } from "../ports/exchange.js";
import type { EdgeInput } from "./edge-input.js";

/** Without news the next question comes so much later, each time a little more. */
const pauseLeast = 75;
const pauseMost = 1_000;

/** E5: tells how far the lanes of a task are, once for all that was put meanwhile. */
export class SentNews {
  readonly #exchange: Exchange;
  readonly #sender: Sender;
  readonly #sent = new Map<string, number>();
  #isNew = false;
  #telling: Promise<void> = Promise.resolve();

  constructor(exchange: Exchange, sender: Sender) {
    this.#exchange = exchange;
    this.#sender = sender;
  }

  /** A frame is there, with its note. */
  put(edge: string, n: number): void {
    this.#sent.set(edge, n);
    this.#isNew = true;
  }

  /** Resolves when all that was put until now is told. */
  told(): Promise<void> {
    this.#telling = this.#telling.then(async () => {
      if (!this.#isNew) return;
      this.#isNew = false;
      await this.#exchange.tell(this.#sender, Object.fromEntries(this.#sent));
    });
    return this.#telling;
  }
}

/** E5: asks what the producers have told, one request for all lanes of a task, instead of each lane whether it has news. */
export class LaneNews {
  readonly #exchange: Exchange;
  readonly #clock: Clock;
  readonly #from: Omit<Sender, "producer">;
  #isAsking = false;
  #askedAt: Millis = millis(0);
  #pause = 0;

  constructor(exchange: Exchange, clock: Clock, from: Omit<Sender, "producer">) {
    this.#exchange = exchange;
    this.#clock = clock;
    this.#from = from;
  }

  /** Asks for these inputs; null: the answer is on its way, or none of them would take more. */
  ask(inputs: readonly EdgeInput[], signal: AbortSignal): Promise<void> | null {
    if (this.#isAsking || !inputs.some((input) => input.isOpen)) return null;
    this.#isAsking = true;
    return this.#ask(inputs, signal);
  }

  async #ask(inputs: readonly EdgeInput[], signal: AbortSignal): Promise<void> {
    const wait = this.#askedAt + this.#pause - this.#clock.now();
    if (wait > 0) await this.#clock.sleep(wait, signal);
    if (signal.aborted) throw new StreamError("fenced", "the session ends");
    this.#askedAt = this.#clock.now();
    const news = await this.#exchange.news(this.#from);
    const isNew = inputs.filter((input) => input.hear(news)).length > 0;
    this.#pause = isNew ? pauseLeast : Math.min(Math.max(2 * this.#pause, pauseLeast), pauseMost);
    this.#isAsking = false;
  }
}
