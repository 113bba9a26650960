// At which request a process is killed, and how that is told and repeated.
import { seededRandom } from "../../../lib/local/runner/queue.js";
import { seed } from "../zombies/moments.js";
import type { Fall, Trap } from "./tripwire.js";

/** A writing request, counted from 1. */
export interface Point {
  readonly write: number;
  readonly fall: Fall;
}

export const trapAt = ({ write, fall }: Point, kill: () => void): Trap => ({
  isHere: ({ length }) => length === write,
  fall,
  kill,
});

const falls: readonly Fall[] = ["before", "after", "late"];

/** KILLS=17:late,3:before repeats what a failure has told; KILLS=all takes every request, one after the other. */
const asked = process.env.KILLS ?? "";

/** Of the writing requests that an undisturbed run makes, from one to another: so many points are drawn, spread over them. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

export function drawPoints(...stretches: readonly Stretch[]): readonly Point[] {
  if (asked !== "" && asked !== "all") return asked.split(",").map(pointIn);
  const random = seededRandom(seed);
  const writes = stretches.flatMap((stretch) => drawWrites(stretch, random));
  const first = Math.floor(random() * falls.length);
  return writes.map((write, index) => ({ write, fall: falls[(first + index) % falls.length] ?? "before" }));
}

/** One of each part of the stretch. */
function drawWrites({ from, to, count }: Stretch, random: () => number): readonly number[] {
  const length = to - from + 1;
  const parts = asked === "all" ? length : Math.min(count, length);
  return Array.from({ length: parts }, (_, part) => from + Math.floor(((part + random()) * length) / parts));
}

function pointIn(text: string): Point {
  const [write = "", how = ""] = text.split(":");
  const fall = falls.find((one) => one === how);
  if (!/^\d+$/.test(write) || fall === undefined) throw new Error(`KILLS: "${text}" is no point such as 17:late`);
  return { write: Number(write), fall };
}

/** A failure in it says how it is repeated: with all points up to this one, since one goes on from where the one before has led. */
export async function eachPoint(points: readonly Point[], at: (point: Point) => Promise<void>): Promise<void> {
  for (const [index, point] of points.entries()) {
    try {
      await at(point);
    } catch (error) {
      const told = points.slice(0, index + 1).map(({ write, fall }) => `${write}:${fall}`);
      if (error instanceof Error) error.message = `KILLS=${told.join(",")} SEED=${seed}: ${error.message}`;
      throw error;
    }
  }
}
