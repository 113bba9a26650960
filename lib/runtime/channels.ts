import type { Ack, Pending, Range } from "../model/checkpoints.js";
import type { Head } from "../model/head.js";
import { type CheckpointId, checkpointId, type Generation, type SessionId } from "../model/ids.js";
import type { Clock } from "../ports/clock.js";
import type { Exchange } from "../ports/exchange.js";
import { EdgeInput } from "./edge-input.js";
import { EdgeOutput } from "./edge-output.js";
import { LaneNews, SentNews } from "./lane-news.js";
import type { Place } from "./place.js";

export interface ChannelOptions {
  readonly incarnation: string;
  readonly generation: Generation;
  readonly session: SessionId;
  /** What the ack or the checkpoint says of the channels. */
  readonly start: { readonly epoch: CheckpointId; readonly ranges: readonly Range[]; readonly sent: Ack["sent"] };
}

/** What a cut leaves behind of the channels (E3). */
export interface ChannelCut {
  readonly sent: Ack["sent"];
  readonly expected: readonly Range[];
  /** Resolves when the frames of the epoch are durable (B3). */
  readonly durable: Promise<unknown>;
}

const anyEpoch = checkpointId(Number.MAX_SAFE_INTEGER);

/** The edges of a task: what it takes from others, and what it sends them. A pipeline of one task has none. */
export class Channels {
  readonly inputs: readonly EdgeInput[];
  readonly outputs: ReadonlyMap<string, EdgeOutput>;
  /** The same, for the record loop: to go through them costs nothing, least of all where there are none. */
  readonly #sending: readonly EdgeOutput[];
  readonly #place: Place;
  readonly #clock: Clock;
  readonly #news: LaneNews;
  /** The time when an open frame is due is waited for. */
  #isTimed = false;
  /** The epoch for whose sake the head was looked at. */
  #toldOf = 0;

  constructor(exchange: Exchange, clock: Clock, place: Place, options: ChannelOptions) {
    const { incarnation, generation, session, start } = options;
    this.#place = place;
    this.#clock = clock;
    this.#news = new LaneNews(exchange, clock, { incarnation, generation });
    const sent = new SentNews(exchange, { incarnation, generation, producer: place.number });
    this.outputs = new Map(
      place.outputs.map(({ edge, consumers }) => {
        const lane = { incarnation, generation, edge, producer: place.number };
        const groups = consumers.map(({ keyGroups }) => keyGroups);
        const at = { lane, consumers: groups, session, sent: start.sent[edge] ?? 0, epoch: start.epoch };
        return [edge, new EdgeOutput(exchange, clock, sent, at)];
      }),
    );
    this.#sending = [...this.outputs.values()];
    this.inputs = place.stage.operators.flatMap((edge) => {
      const ranges = expectedOf(place, edge, generation, start.ranges);
      return ranges.length === 0 ? [] : [new EdgeInput(exchange, { edge, incarnation, generation, ranges })];
    });
  }

  /** Asks for frames, where there is room. */
  pump(signal: AbortSignal): readonly Promise<void>[] {
    const looks = this.inputs.flatMap((input) => input.pump());
    const asked = this.#news.ask(this.inputs, signal);
    return asked === null ? looks : [...looks, asked];
  }

  /**
   * Puts frames that are full, or have waited long enough; while one is open there is a promise of the time when it is due. To be
   * called between two records, and again when any of the promises resolves.
   */
  send(signal: AbortSignal): readonly Promise<void>[] {
    const sending = this.#sending.flatMap((output) => output.flushDue() ?? []);
    const dueIn = Math.min(...this.#sending.map((output) => output.dueIn ?? Number.POSITIVE_INFINITY));
    if (dueIn === Number.POSITIVE_INFINITY || this.#isTimed) return sending;
    this.#isTimed = true;
    const due = this.#clock.sleep(Math.max(dueIn, 0), signal).then(() => {
      this.#isTimed = false;
    });
    return [...sending, due];
  }

  /** Frames wait to be put. */
  get isPressed(): boolean {
    return this.#sending.some((output) => output.isPressed);
  }

  /** A frame is full, and is closed by the next {@link send}: no more records should come before. */
  get isFull(): boolean {
    return this.#sending.some(isFull);
  }

  /** E4: ranges of earlier generations come before all else that the operator is to see. */
  get isBehind(): boolean {
    return this.inputs.some((input) => input.isBehind);
  }

  get isIdle(): boolean {
    return this.#sending.every((output) => output.dueIn === null) && this.inputs.every((input) => input.isIdle);
  }

  get changed(): boolean {
    return this.inputs.some((input) => input.changed);
  }

  /** B2: whether this task may cut now. Unaligned it always may: what it has not taken is recorded by name (E3). */
  mayCut({ checkpointId: c, alignment }: Pending): boolean {
    switch (alignment) {
      case "unaligned":
        return true;
      case "aligned":
        return this.inputs.every((input) => input.isAligned(c));
      case "at-least-once":
        return this.inputs.every((input) => input.hasBarriers(c));
    }
  }

  /**
   * B2: the greatest epoch of which a frame may be taken. Of a checkpoint that this task knows of, and has not cut for, none; one
   * that is pending no more was aborted, for it could not complete without this task.
   */
  epochMax(head: Head, epoch: CheckpointId, alignment: Pending["alignment"]): CheckpointId {
    if (alignment === "at-least-once") return anyEpoch;
    const known = head.pending === null ? head.nextCheckpointId - 1 : head.pending.checkpointId - 1;
    return checkpointId(Math.max(epoch, known));
  }

  /** A frame has come of an epoch that the head did not know when it was read: said once, for the look is under way then. */
  hasNews(head: Head): boolean {
    const ahead = Math.max(0, ...this.inputs.map((input) => input.epochAhead));
    if (ahead < head.nextCheckpointId || ahead <= this.#toldOf) return false;
    this.#toldOf = ahead;
    return true;
  }

  /** B2: ends the epoch on every edge, at once. */
  cut({ checkpointId: c, alignment }: Pick<Pending, "checkpointId" | "alignment">): ChannelCut {
    const barrier = alignment === "unaligned" ? "no barrier" : "barrier";
    const cuts = [...this.outputs].map(([edge, output]) => [edge, output.cut(c, barrier)] as const);
    for (const input of this.inputs) {
      input.passBarriers(c);
      input.changed = false;
    }
    const durable = Promise.all(cuts.map(([, { durable: put }]) => put));
    durable.catch(() => undefined);
    return {
      sent: Object.fromEntries(cuts.map(([edge, { sent }]) => [edge, sent])),
      expected: this.inputs.flatMap((input) => input.ranges()),
      durable,
    };
  }

  /** E5: for the producers. */
  taken(): Readonly<Record<string, number>> {
    return Object.assign({}, ...this.inputs.map((input) => input.taken()));
  }

  /** E5: how many frames the slowest consumer is behind, by what the tasks that take have told. */
  framesBehind(takenBy: (task: Place["task"]) => Readonly<Record<string, number>>): number {
    const behind = this.#place.outputs.flatMap(({ edge, consumers }) => {
      const sent = this.outputs.get(edge)?.sent ?? 0;
      return consumers.map(({ task }) => sent - (takenBy(task)[`${edge}/${this.#place.number}`] ?? 0));
    });
    return Math.max(0, ...behind);
  }
}

const isFull = (output: EdgeOutput): boolean => output.isFull;

/** E2: what the checkpoint says is still to come, and to the last the lanes of the own generation. A hand-over knows those already. */
function expectedOf(
  { inputs, keyGroups }: Place,
  edge: string,
  generation: Generation,
  restored: readonly Range[],
): readonly Range[] {
  const known = restored.filter((range) => range.edge === edge);
  const producers = inputs.find((input) => input.edge === edge)?.producers ?? [];
  const isKnown = (producer: number) =>
    known.some((range) => range.generation === generation && range.producer === producer);
  const own = producers
    .filter((producer) => !isKnown(producer))
    .map((producer): Range => ({ edge, generation, producer, from: 1, to: null, keyGroups }));
  return [...known, ...own];
}
