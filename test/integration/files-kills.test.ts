// Real processes and a real disk: lines of a file, each through a call, into files, while processes are killed all the time.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { DeadLetter } from "tidemark";
import { afterAll, expect, it, vi } from "vitest";
import { endAll, nothingIsLeft } from "../fixtures/cli/command.js";
import { dev, generationOf } from "../fixtures/cli/dev.js";
import { newProject } from "../fixtures/cli/project.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const airports = ["ATL", "BOS", "JFK"];
const count = 30_000;
const lines = Array.from({ length: count }, (_, i) =>
  i % 100 === 7 ? `torn ${i}` : `{"airport":"${airports[i % 3]}"}`,
);

const project = newProject({
  "pipeline.ts": `
import { fileSink, fileSource, json, pipeline, value } from "tidemark";

export default pipeline(
  "numbering",
  {
    checkpoint: { interval: "300ms", timeout: "5s" },
    session: { reserve: "10s" },
    restart: { initialDelay: "50ms", maxDelay: "50ms", window: "5s" },
    onBadRecord: "quarantine",
    deadLetters: fileSink({ folder: "out/dead" }),
  },
  (flow) =>
    flow
      .from("flights", fileSource({ path: "flights.jsonl", codec: json<{ airport: string }>() }))
      .mapAsync("ask", { concurrency: 100, timeout: "4s" }, async (flight) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return flight;
      })
      .keyBy((flight) => flight.airport)
      .process("number", {
        state: { n: value(0) },
        onRecord(_flight, { key, state }) {
          state.n.update((n) => n + 1);
          return { airport: key, n: state.n.get() };
        },
      })
      .to("numbered", fileSink({ folder: "out/numbered" })),
);
`,
  // The last line has no end.
  "flights.jsonl": lines.join("\n"),
});
afterAll(() => {
  endAll();
  project.remove();
});

/** The rows of a folder, as a reader of it finds them. */
const rowsIn = <T>(folder: string): readonly T[] =>
  readdirSync(join(project.folder, folder))
    .filter((name) => name.endsWith(".jsonl"))
    .sort()
    .flatMap((name) =>
      readFileSync(join(project.folder, folder, name), "utf8")
        .trimEnd()
        .split("\n"),
    )
    .map((line) => JSON.parse(line) as T);

it("B2 C4 Q1 every line is counted once, in its order, and every torn one put aside once, however often processes are killed", async () => {
  const running = dev(project, ["--chaos", "3s"]);
  expect(await running.ended).toMatchObject({ code: 0, err: "" });
  expect(generationOf(running)).toBeGreaterThan(1);
  await nothingIsLeft(running);
  const numbered = rowsIn<{ readonly airport: string; readonly n: number }>("out/numbered");
  for (const airport of airports) {
    const expected = lines.filter((line) => line.includes(airport)).map((_, i) => i + 1);
    expect(numbered.filter((row) => row.airport === airport).map(({ n }) => n)).toEqual(expected);
  }
  const dead = rowsIn<DeadLetter>("out/dead");
  const torn = lines.filter((line) => line.startsWith("torn"));
  expect(dead.map(({ data }) => Buffer.from(data, "base64").toString())).toEqual(torn);
  expect(new Set(dead.map(({ id }) => id)).size).toBe(torn.length);
  for (const folder of ["out/numbered", "out/dead"]) {
    const left = readdirSync(join(project.folder, folder, ".staged")).filter((name) => !name.endsWith(".shown"));
    expect(left).toEqual([]);
  }
});
