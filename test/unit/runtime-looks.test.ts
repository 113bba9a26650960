// When a session looks at the head next.
import { describe, expect, it } from "vitest";
import { untilLook } from "../../lib/runtime/phase.js";

describe("N1 a look falls on the beginning of the reserve", () => {
  it.each([
    ["which is far away: after the pause", { remaining: 60_000, reserve: 1_000 }, 1_000],
    ["which comes before the end of the pause: then", { remaining: 1_240, reserve: 1_000 }, 240],
    ["which has begun: after the pause", { remaining: 1_000, reserve: 1_000 }, 1_000],
    ["which is nearly over: after the pause", { remaining: 10, reserve: 1_000 }, 1_000],
  ])("%s", (_, time, expected) => {
    expect(untilLook(1_000, time)).toBe(expected);
  });
});
