import type { Note } from "../../model/frames.js";
import type { Progress } from "../../model/head.js";
import type { Profile } from "./profile.js";
import type { Stage } from "./stage.js";

/**
 * A producer looks once a second, and then acts for some calls of the coordinator; frames come five a second, and each cut closes one:
 * so many come between two looks.
 */
const framesBetweenLooks = 16;

/** E5: how far producers are ahead of what their consumers have told that they took. Knows frames and progress alone. */
export class Backlog {
  readonly #stage: Stage;
  readonly #window: number;
  /** Nothing keeps a producer from looking in time. */
  readonly #isPrompt: boolean;
  /** By lane, and then by the task that takes. */
  readonly #taken = new Map<string, Map<string, number>>();

  constructor(stage: Stage, profile: Profile) {
    this.#stage = stage;
    this.#window = profile.pressure.windowFrames;
    const { slow, pause, lost } = profile.faults;
    this.#isPrompt = slow + pause + lost === 0 && profile.slowService === "none" && profile.outage === null;
  }

  told(body: string): void {
    const { generation, task, taken } = JSON.parse(body) as Progress;
    for (const [lane, n] of Object.entries(taken)) {
      const of = this.#taken.get(`${generation}/${lane}`) ?? new Map<string, number>();
      of.set(task, n);
      this.#taken.set(`${generation}/${lane}`, of);
    }
  }

  announced(name: string, body: string): void {
    const [, , generation, edge, producer] = name.split("/");
    const { n, records } = JSON.parse(body) as Note;
    if (!this.#isPrompt || records === 0) return;
    const taken = this.#taken.get(`${Number(generation)}/${edge}/${Number(producer)}`);
    const slowest = taken === undefined ? 0 : Math.min(...taken.values());
    if (n - slowest <= this.#window + framesBetweenLooks) return;
    this.#stage.violated(
      `E5: producer ${producer} has sent frame ${n} to ${edge}, whose slowest consumer has taken ${slowest}, with a window of ${this.#window}`,
    );
  }
}
