// What seeds hardly ever meet: a lane that answers late while a later one has frames, of another producer.
import { expect, it } from "vitest";
import type { Range } from "../../lib/model/checkpoints.js";
import { checkpointId, generation, sessionId } from "../../lib/model/ids.js";
import { EdgeInput } from "../../lib/runtime/edge-input.js";
import { EdgeOutput } from "../../lib/runtime/edge-output.js";
import { SentNews } from "../../lib/runtime/lane-news.js";
import { incarnation, memoryExchange, place, pumping, takeRead } from "../unit/edge-world.js";

const edge = "sum";

/** A task of generation 3. Of the lanes that it may look at, those of the newest generation answer first. */
function world() {
  const { clock, exchange } = memoryExchange();
  const range = (of: number, producer: number, to: number | null): Range => ({
    edge,
    generation: generation(of),
    producer,
    from: 1,
    to,
    keyGroups: [0, 127],
  });
  /** One frame of one record. */
  const sent = async (of: number, producer: number, value: string) => {
    const lane = { incarnation, generation: generation(of), edge, producer };
    const at = { lane, consumers: [[0, 127] as const], session: sessionId("aa"), sent: 0, epoch: checkpointId(0) };
    const output = new EdgeOutput(exchange, clock, new SentNews(exchange, lane), at);
    output.add(value, 0, value, place);
    await output.cut(checkpointId(1), "no barrier").durable;
  };
  const looked: number[] = [];
  const late = {
    ...exchange,
    async notes(...[lane, from, limit]: Parameters<typeof exchange.notes>) {
      looked.push(lane.generation);
      await clock.sleep(1_000 * (4 - lane.generation));
      return exchange.notes(lane, from, limit);
    },
  };
  const taking = (...ranges: readonly Range[]) =>
    new EdgeInput(late, { edge, incarnation, generation: generation(3), ranges });
  /** Takes whatever has come as soon as any look has brought something. */
  const inOrder = async (input: EdgeInput, frames: number): Promise<readonly string[]> => {
    const taken: string[] = [];
    const looks = new Set<Promise<void>>();
    const pump = pumping(input, late, clock, generation(3));
    for (let step = 0; step < 20 && taken.length < frames; step++) {
      for (const look of pump()) {
        const ended: Promise<void> = look.then(() => void looks.delete(ended));
        looks.add(ended);
      }
      await Promise.race(looks);
      taken.push(...takeRead(input));
    }
    return taken;
  };
  return { range, sent, taking, looked, inOrder };
}

it("E2 no lane of the own generation is looked at while a range of an earlier one is left, of whatever producer", async () => {
  const { range, sent, taking, looked, inOrder } = world();
  await sent(2, 0, "old");
  await sent(3, 0, "new of the same producer");
  await sent(3, 1, "new of another one");
  const input = taking(range(2, 0, 1), range(3, 0, null), range(3, 1, null));
  const taken = await inOrder(input, 3);
  expect(taken[0]).toBe("old");
  expect(taken).toHaveLength(3);
  expect(looked.indexOf(3)).toBe(looked.lastIndexOf(2) + 1);
});

it("E4 ranges of several generations that are over are taken one generation after the other", async () => {
  const { range, sent, taking, looked, inOrder } = world();
  await sent(1, 0, "oldest");
  await sent(2, 1, "older");
  await sent(3, 2, "new");
  const input = taking(range(1, 0, 1), range(2, 1, 1), range(3, 2, null));
  expect(await inOrder(input, 3)).toEqual(["oldest", "older", "new"]);
  expect(looked.filter((of, i) => of !== looked[i - 1])).toEqual([1, 2, 3]);
});
