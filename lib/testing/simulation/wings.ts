import { list, value } from "../../pipeline/declare-state.js";
import type { Stream } from "../../pipeline/stream.js";
import type { ChainTasks } from "./shape.js";

/** What each row says besides: the version of the code that has made it. */
export interface Made {
  readonly code: string;
}

/** Of the first of two operators in a chain: the record, and the how-manieth of its key it is. */
interface Counted {
  readonly n: number;
  readonly nth: number;
}

/** What the second one took of a rest, in its order. */
export interface Chained {
  readonly rest: string;
  readonly numbers: readonly number[];
  readonly nths: readonly number[];
}

/** What two streams have of a slot, each in its order. */
export interface Pair {
  readonly slot: string;
  readonly left: readonly number[];
  readonly right: readonly number[];
}

interface Keyed {
  readonly n: number;
  readonly key: string;
}

export const wingTables = { chains: "chains", pairs: "pairs" } as const;
export const wingKeys = { chains: "rest", pairs: "slot" } as const;

/** Keys of the two streams are alike but for the word before. */
export const slotOf = (key: string): string => key.slice(key.lastIndexOf("-") + 1);

export const chainRestOf = (n: number): number => n % 3;

interface ChainOptions {
  readonly tasks: ChainTasks;
  readonly code: string;
  /** Made for each record between the two, one after the other: then what is taken of a frame takes its time. Null: none is. */
  readonly call: (() => Promise<unknown>) | null;
}

/** By key, then by another key: what is counted first is spread again. */
export function chained(
  numbers: Stream<Keyed, unknown>,
  keyOf: (record: Keyed) => string,
  { tasks: [first, second], code, call }: ChainOptions,
): Stream<Chained & Made, unknown> {
  const counted = numbers.keyBy(keyOf).process("first", {
    ...(first === null ? {} : { parallelism: first }),
    state: { count: value(0) },
    onRecord({ n }, { state }): Counted {
      state.count.update((count) => count + 1);
      return { n, nth: state.count.get() };
    },
  });
  const called =
    call === null
      ? counted
      : counted.mapAsync("between", { concurrency: 1, timeout: "1.5s" }, async (one) => {
          await call();
          return one;
        });
  return called
    .keyBy(({ n }) => chainRestOf(n))
    .process("second", {
      ...(second === null ? {} : { parallelism: second }),
      state: { numbers: list<number>(), nths: list<number>() },
      onRecord({ n, nth }, { key, state }): Chained & Made {
        state.numbers.add(n);
        state.nths.add(nth);
        return { rest: String(key), numbers: [...state.numbers.get()], nths: [...state.nths.get()], code };
      },
    });
}

/** Both streams into one operator, whose state of a key both see. */
export function paired(
  left: Stream<Keyed, unknown>,
  right: Stream<Keyed, unknown>,
  code: string,
): Stream<Pair & Made, unknown> {
  return left
    .keyBy(({ key }) => slotOf(key))
    .connect(right.keyBy(({ key }) => slotOf(key)))
    .process("pair", {
      state: { left: list<number>(), right: list<number>() },
      onLeft({ n }, { key, state }): Pair & Made {
        state.left.add(n);
        return { slot: key, left: [...state.left.get()], right: [...state.right.get()], code };
      },
      onRight({ n }, { key, state }): Pair & Made {
        state.right.add(n);
        return { slot: key, left: [...state.left.get()], right: [...state.right.get()], code };
      },
    });
}
