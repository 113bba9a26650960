import { describe, expect, it } from "vitest";
import type { CheckpointSummary } from "../../lib/checkpoint/history.js";
import { checkpointTable } from "../../lib/cli/checkpoints.js";
import type { DevEvent } from "../../lib/cli/dev/events.js";
import { jsonOutput, liveOutput, statusLine } from "../../lib/cli/dev/output.js";
import { Told } from "../../lib/cli/dev/told.js";
import { checkpointId, generation, millis } from "../../lib/model/ids.js";

type StatusEvent = Extract<DevEvent, { readonly event: "status" }>;

const status: StatusEvent = {
  event: "status",
  status: "running",
  generation: 2,
  checkpoint: 17,
  checkpoints: 18,
  tasks: 1,
  records: 1_234_567,
  behindMillis: 1_400,
  idle: false,
  restarts: 0,
};

const failure = {
  event: "failure",
  generation: generation(3),
  at: millis(0),
  task: null,
  message: "it broke",
  checkpointId: checkpointId(4),
} as const;

describe("the status line", () => {
  it.each([
    [{}, "running · generation 2 · checkpoint 17 · 1,234,567 records · behind 1.4 s"],
    [{ checkpoint: null, records: 0 }, "running · generation 2 · no checkpoint yet · 0 records · behind 1.4 s"],
    [{ status: "starting" as const }, "starting"],
    [
      { status: "suspended" as const, idle: true },
      "asleep · generation 2 · checkpoint 17 · 1,234,567 records · up to date",
    ],
    [{ tasks: 8 }, "running · generation 2 (8 tasks) · checkpoint 17 · 1,234,567 records · behind 1.4 s"],
    [{ behindMillis: 0 }, "running · generation 2 · checkpoint 17 · 1,234,567 records · reading"],
    [
      { idle: true, restarts: 3 },
      "running · generation 2 · checkpoint 17 · 1,234,567 records · up to date · restarts 3",
    ],
  ])("%j", (changes, line) => {
    expect(statusLine({ ...status, ...changes })).toBe(line);
  });
});

/** What a terminal of one line shows after the text: a carriage return and "erase to the end" begin the line anew. */
function shown(text: string): readonly string[] {
  return text.split("\n").map((line) => line.split("\r\u001b[K").at(-1) ?? "");
}

describe("live output", () => {
  function screen(isTTY: boolean, columns = 80) {
    let text = "";
    const write = (more: string) => {
      text += more;
    };
    return { isTTY, columns: () => columns, write, text: () => text };
  }

  it("is one line on a terminal, below what happens, and makes room for the end", () => {
    const terminal = screen(true);
    const tell = liveOutput(terminal, () => 0);
    tell(status);
    tell({ ...status, records: 1_234_568 });
    expect(shown(terminal.text())).toEqual([statusLine({ ...status, records: 1_234_568 })]);
    tell({ event: "session", state: "killed", pid: 4711, requestId: "r" });
    expect(shown(terminal.text())).toEqual([
      "an operator process (pid 4711) was killed",
      statusLine({ ...status, records: 1_234_568 }),
    ]);
    tell({ event: "end", status: "stopped", failures: [] });
    expect(shown(terminal.text())).toEqual([
      "an operator process (pid 4711) was killed",
      "stopped: all input that was read is committed",
      "",
    ]);
  });

  it("never wraps on a narrow terminal: a second line could not be erased", () => {
    const terminal = screen(true, 40);
    liveOutput(terminal, () => 0)(status);
    expect(terminal.text()).toHaveLength(39);
  });

  it("writes nothing where the status is the same", () => {
    const terminal = screen(true);
    const tell = liveOutput(terminal, () => 0);
    tell(status);
    const before = terminal.text();
    tell({ ...status });
    expect(terminal.text()).toBe(before);
  });

  it("off a terminal has no control characters, and a status every five seconds at most", () => {
    const pipe = screen(false);
    let now = 0;
    const tell = liveOutput(pipe, () => now);
    for (let second = 0; second < 12; second++) {
      now = second * 1_000;
      tell({ ...status, records: second });
    }
    expect(pipe.text().split("\n")).toEqual([0, 5, 10].map((records) => statusLine({ ...status, records })).concat(""));
  });

  it("tells a failure once: what was killed was told, and what ends the command is its error", () => {
    const pipe = screen(false);
    const tell = liveOutput(pipe, () => 0);
    for (const kind of ["invalid", "corrupt"]) tell({ ...failure, kind });
    tell({ ...failure, kind: "died", message: "RequestId: r Error: Runtime exited with error: signal: killed" });
    tell({ event: "end", status: "failed", failures: [] });
    expect(pipe.text()).toBe("");
    tell({ ...failure, kind: "transient" });
    tell({ ...failure, kind: "died", message: "exit status 7" });
    expect(pipe.text()).toBe(
      "generation 3 failed (transient), and is restarted: it broke\ngeneration 3 failed (died), and is restarted: exit status 7\n",
    );
  });

  it("shows what users' code prints, and not our own events", () => {
    const pipe = screen(false);
    const tell = liveOutput(pipe, () => 0);
    tell({ event: "log", function: "p-task", pid: 1, line: '{"event":"flowing"}' });
    tell({ event: "log", function: "p-task", pid: 1, line: "hello" });
    expect(pipe.text()).toBe("[p-task] hello\n");
  });

  it("as JSON is a line for each event", () => {
    let text = "";
    const tell = jsonOutput((more) => {
      text += more;
    });
    const events: DevEvent[] = [status, { event: "end", status: "failed", failures: [] }];
    for (const event of events) tell(event);
    expect(text.endsWith("\n")).toBe(true);
    expect(
      text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual(events);
  });
});

describe("what the runner tells", () => {
  const subject = { version: "v", pid: 1, requestId: "r" };
  const supervisor = { functionName: "p-supervisor", ...subject };
  const refused = (kind: string) => ({
    kind: "log" as const,
    stream: "stdout" as const,
    line: JSON.stringify({ event: "refused", kind, message: "why" }),
    ...supervisor,
  });
  const told = () => new Told({ task: "p-task", supervisor: "p-supervisor" }, () => undefined);

  it("a supervisor that says why a start cannot be is its failure, with its kind", () => {
    const heard = told();
    heard.onEvent(refused("corrupt"));
    heard.onEvent(refused("invalid"));
    expect(heard.startFailure).toMatchObject({ kind: "corrupt", message: "why" });
  });

  it("a passing trouble of the supervisor is none, three in a row are", () => {
    const heard = told();
    for (let round = 0; round < 5; round++) {
      heard.onEvent(refused("transient"));
      heard.onEvent(refused("ambiguous"));
      heard.onEvent({ kind: "finished", durationMs: 1, ...supervisor });
    }
    expect(heard.startFailure).toBeNull();
    for (let round = 0; round < 3; round++) heard.onEvent(refused("transient"));
    expect(heard.startFailure).toMatchObject({ kind: "transient" });
  });

  it("what an operator prints is never taken for the supervisor's word", () => {
    const heard = told();
    heard.onEvent({ ...refused("invalid"), functionName: "p-task" });
    expect(heard.startFailure).toBeNull();
  });

  it("a supervisor that cannot even be loaded is a bug, told with its reason", () => {
    const heard = told();
    const error = { errorType: "Runtime.ImportModuleError", errorMessage: "no such module" };
    heard.onEvent({ kind: "failed", durationMs: 1, error, ...supervisor });
    expect(heard.startFailure).toMatchObject({ kind: "bug", message: "p-supervisor: no such module" });
  });
});

describe("the table of checkpoints", () => {
  const checkpoint: CheckpointSummary = {
    id: 9,
    generation: 2,
    kind: "checkpoint",
    names: [],
    triggeredAt: "2026-03-01T12:34:56.789Z",
    completedAt: "2026-03-01T12:34:57.000Z",
    durationMillis: 211,
    bytes: 12_345,
    records: 6_789_000,
    positions: [
      {
        source: "flights",
        shard: "shardId-000000000000",
        at: "49680463996351163632313387045048499183512214873466470418",
      },
      { source: "flights", shard: "shardId-000000000001", at: "end" },
    ],
  };

  it("has aligned columns, times without zone, and sequence numbers by their end", () => {
    expect(checkpointTable([{ ...checkpoint, id: 10, kind: "savepoint", bytes: 1 }, checkpoint])).toBe(
      [
        "id  kind        time (UTC)           duration  bytes   records    positions",
        "10  savepoint   2026-03-01 12:34:56  211 ms    1       6,789,000  flights/shardId-000000000000@…3466470418 flights/shardId-000000000001@end",
        "9   checkpoint  2026-03-01 12:34:56  211 ms    12,345  6,789,000  flights/shardId-000000000000@…3466470418 flights/shardId-000000000001@end",
        "",
      ].join("\n"),
    );
  });

  it("says so where there is none", () => {
    expect(checkpointTable([])).toBe("no checkpoint is complete yet\n");
  });
});
