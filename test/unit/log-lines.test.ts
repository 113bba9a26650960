import { describe, expect, it } from "vitest";
import { Follower } from "../../lib/cli/logs/follow.js";
import { lineText, parseLine, TaskNames } from "../../lib/cli/logs/lines.js";
import { millis } from "../../lib/model/ids.js";

const request = "7b5f2a3c-0000-4000-8000-0123456789ab";
const other = "7b5f2a3c-0000-4000-8000-ffffffffffff";
const at = millis(Date.UTC(2026, 2, 1, 12, 0, 0, 5));
const parsed = (message: string) => parseLine({ at, message }, "task");

describe("a line of a function's log", () => {
  it("that is an event has its members", () => {
    const fields = {
      event: "flowing",
      task: "0.1",
      level: "WARN",
      message: "on its way",
      function_request_id: request,
    };
    expect(parsed(`${JSON.stringify(fields)}\n`)).toEqual({
      at: "2026-03-01T12:00:00.005Z",
      function: "task",
      task: "0.1",
      requestId: request,
      level: "WARN",
      message: "on its way",
      fields,
    });
  });

  it("that console has written has the runtime's prefix taken away", () => {
    const found = parsed(`2026-03-01T12:00:00.005Z\t${request}\tERROR\tit broke\n  at a place\n`);
    expect(found).toMatchObject({ requestId: request, level: "ERROR", message: "it broke\n  at a place", task: null });
  });

  it.each(["START", "END", "REPORT"])("that Lambda begins with %s has its request", (word) => {
    expect(parsed(`${word} RequestId: ${request} Version: 2`)).toMatchObject({ requestId: request, level: "INFO" });
  });

  it.each(["{ no json", "plain", "{}", "[1]", ""])("that is %j is left as it is", (text) => {
    expect(parsed(text)).toMatchObject({ message: text, requestId: null, task: null });
  });
});

it("lines have the task that another line of their invocation has named, before or after, in this look or a later one", () => {
  const names = new TaskNames();
  const [start, event, alien] = [
    parsed(`START RequestId: ${request}`),
    parsed(JSON.stringify({ task: "1.0", function_request_id: request })),
    parsed(`START RequestId: ${other}`),
  ];
  expect(names.name([start, event, alien]).map(({ task }) => task)).toEqual(["1.0", "1.0", null]);
  expect(names.name([parsed(`END RequestId: ${request}`)]).map(({ task }) => task)).toEqual(["1.0"]);
});

it("for people, metrics and what is in all lines are left out", () => {
  const metrics = { CloudWatchMetrics: [{ Dimensions: [["environment"]], Metrics: [{ Name: "records" }] }] };
  const fields = {
    event: "cut",
    message: "cut",
    checkpoint: 7,
    records: 3,
    environment: "t",
    _aws: metrics,
    task: "0.0",
  };
  expect(lineText(parsed(JSON.stringify({ ...fields, cold_start: true, function_name: "f" })))).toBe(
    "2026-03-01 12:00:00.005  task 0.0    INFO   cut checkpoint=7\n",
  );
});

describe("a follower", () => {
  const event = (id: string, at: number) => ({ id, at: millis(at), message: id });
  const ids = (found: readonly { readonly id: string }[]) => found.map(({ id }) => id);

  it("tells each event once, also one that is found late", () => {
    const follower = new Follower(millis(1_000_000));
    expect(ids(follower.fresh([event("a", 1_000_000), event("b", 1_100_000)]))).toEqual(["a", "b"]);
    expect(follower.from).toBe(1_040_000);
    expect(ids(follower.fresh([event("late", 1_050_000), event("b", 1_100_000)]))).toEqual(["late"]);
    expect(ids(follower.fresh([event("late", 1_050_000), event("b", 1_100_000), event("c", 1_200_000)]))).toEqual([
      "c",
    ]);
    expect(follower.from).toBe(1_140_000);
  });

  it("never looks back behind where it began", () => {
    const follower = new Follower(millis(1_000_000));
    follower.fresh([event("a", 1_000_001)]);
    expect(follower.from).toBe(1_000_000);
  });
});
