import { fileSink, fileSource, json, kinesisSource, type PipelineOptions, pipeline, value } from "tidemark";
import { describe, expect, it } from "vitest";
import type { CheckpointRef } from "../../lib/model/checkpoints.js";
import { desired } from "./checkpoint-samples.js";
import { cloud } from "./runtime-world.js";

interface Flight {
  readonly airport: string;
}
const minutes = (n: number) => n * 60_000;
const quick: PipelineOptions = { checkpoint: { interval: "1s" } };

/** Numbers the flights of each airport: a line for each. */
const numbering = (source: "stream" | "file", settings = quick) =>
  pipeline("p", settings, (flow) =>
    (source === "stream"
      ? flow.from("flights", kinesisSource({ stream: "flights", codec: json<Flight>(), start: "trim-horizon" }))
      : flow.from("flights", fileSource({ path: "/in/flights.jsonl", codec: json<Flight>() }))
    )
      .keyBy((flight) => flight.airport)
      .process("number", {
        state: { n: value(0) },
        onRecord(_flight, { key, state }) {
          state.n.update((n) => n + 1);
          return { airport: key, n: state.n.get() };
        },
      })
      .to("lines", fileSink({ folder: "/out" })),
  );

function running(made: ReturnType<typeof numbering>, options: Parameters<typeof cloud>[1] = {}) {
  const world = cloud(made, options);
  world.stream.createStream("flights", 1);
  const files = () =>
    world.disk.paths().filter((path) => path.startsWith("/out/") && !path.startsWith("/out/.staged/"));
  const staged = () =>
    world.disk.paths().filter((path) => path.startsWith("/out/.staged/") && !path.endsWith(".shown"));
  return {
    ...world,
    files,
    staged,
    put: (airport: string) => world.stream.put("flights", airport, Buffer.from(JSON.stringify({ airport }))),
    /** In the order of the files' names. */
    lines: async () => {
      const all: string[] = [];
      for (const path of files()) {
        const text = Buffer.from((await world.disk.files.read(path)) ?? "").toString("utf8");
        expect(text.endsWith("\n")).toBe(true);
        all.push(...text.trimEnd().split("\n"));
      }
      return all.map((line) => JSON.parse(line) as { readonly airport: string; readonly n: number });
    },
  };
}
const numbered = (airport: string, count: number) => Array.from({ length: count }, (_, i) => ({ airport, n: i + 1 }));

describe("C4 sessions with a file sink", () => {
  it("C4 each file is a complete checkpoint's, and names sort as they came", async () => {
    const world = running(numbering("stream"));
    await world.wish();
    let seen = 0;
    for (let i = 0; i < 40; i++) {
      world.put("ATL");
      await world.clock.sleep(150);
      const completed = (await world.head())?.completed?.checkpointId ?? 0;
      const files = world.files();
      for (const path of files)
        expect(Number(path.match(/-(\d{12})-0\.0\.jsonl$/)?.[1])).toBeLessThanOrEqual(completed);
      expect(files.length).toBeGreaterThanOrEqual(seen);
      seen = files.length;
    }
    await world.until(() => false, 5_000);
    expect(world.files().length).toBeGreaterThan(3);
    expect(await world.lines()).toEqual(numbered("ATL", 40));
    expect(world.staged()).toEqual([]);
  });

  it.each(["sync", "ack", "manifest", "head", "receipt", "move"] as const)(
    "C4 a crash at the %s of a checkpoint: every line is there once, and what was never acked goes",
    async (moment) => {
      let armed = false;
      let crashes = 0;
      const hit = (method: string, what: unknown) => {
        const name = typeof what === "string" ? what : String((what as { readonly name?: string } | null)?.name);
        return {
          sync: method === "sync" && name.startsWith("/out/.staged/") && !name.endsWith(".shown"),
          ack: method === "swap" && name.startsWith("ack/"),
          manifest: method === "swap" && name.startsWith("manifest/"),
          head: method === "swap" && name === "head",
          receipt: method === "sync" && name.endsWith(".shown"),
          move: method === "move",
        }[moment];
      };
      const way = (method: string, what: unknown) => {
        if (!armed || !hit(method, what)) return 0;
        armed = false;
        // The way is 10 ms long: the process dies before it happens, or between that and the answer.
        void world.clock.sleep(++crashes % 2 === 0 ? 2 : 7).then(() => world.crash());
        return 10;
      };
      const world = running(numbering("stream"), { way });
      await world.wish();
      for (let round = 1; round <= 4; round++) {
        for (let i = 0; i < 5; i++) world.put("ATL");
        await world.until(() => false, 2_500);
        armed = true;
        world.put("ATL");
        await world.until((head) => head.generation > round, minutes(3));
        await world.until(() => false, 4_000);
      }
      expect(armed).toBe(false);
      await world.until(() => false, minutes(1));
      expect((await world.head())?.generation).toBeGreaterThanOrEqual(4);
      expect(await world.lines()).toEqual(numbered("ATL", 24));
      expect(world.staged()).toEqual([]);
    },
  );

  it("N1 sessions hand over for an hour, and write every line once", async () => {
    const world = running(numbering("stream", {}), { lifetime: minutes(10) });
    await world.wish();
    for (let i = 0; i < 120; i++) {
      world.put("ATL");
      await world.until(() => false, 30_000);
    }
    await world.until(() => false, minutes(1));
    expect(await world.head()).toMatchObject({ generation: 1, failures: [] });
    expect(world.outcomes.length).toBeGreaterThanOrEqual(5);
    expect(await world.lines()).toEqual(numbered("ATL", 120));
    expect(world.staged()).toEqual([]);
  });

  it("C4 a reader takes files away as they come; crashes neither miss them nor bring them back", async () => {
    const world = running(numbering("stream"));
    await world.wish();
    const taken: unknown[] = [];
    for (let i = 1; i <= 30; i++) {
      world.put("ATL");
      await world.until(() => false, 900);
      taken.push(...(await world.lines()));
      for (const path of world.files()) await world.disk.files.remove(path);
      if (i % 7 === 0) await world.crash();
    }
    await world.until(() => false, minutes(1));
    taken.push(...(await world.lines()));
    expect(taken).toEqual(numbered("ATL", 30));
    const head = await world.head();
    expect(head?.generation).toBeGreaterThanOrEqual(4);
    expect(head?.failures.map(({ kind }) => kind)).not.toContain("corrupt");
  });

  it("C4 what tasks have staged that are no more goes, unless a newer generation has made it", async () => {
    const world = running(numbering("stream"));
    await world.wish();
    world.put("ATL");
    const head = await world.until(({ completed }) => completed !== null, minutes(1));
    const of = (sink: string, task: string, generation: number) =>
      `/out/.staged/${sink}-${head?.incarnation}-${task}-${generation}-0123456789abcdef-1`;
    const gone = [of("lines", "0.3", 1), of("lines", "1.0", 1)];
    const kept = [of("lines", "0.3", 9), of("other", "0.3", 1), "/out/.staged/lines-by-hand"];
    for (const path of [...gone, ...kept]) await world.disk.files.write(path, 0, Buffer.from("{}\n"));
    await world.crash();
    world.put("ATL");
    await world.until(({ generation, completed }) => generation === 2 && completed?.generation === 2, minutes(1));
    await world.until(() => world.files().length === 2, minutes(1));
    expect([...world.staged()].sort()).toEqual([...kept].sort());
    expect(await world.lines()).toEqual(numbered("ATL", 2));
  });

  it("C4 a file that was changed is corrupt, and nothing of a later checkpoint is shown", async () => {
    let held = true;
    const way = (method: string, what: unknown) =>
      held && method === "stat" && String(what).includes("/.staged/") ? 5_000 : 0;
    const world = running(numbering("stream"), { way });
    await world.wish();
    world.put("ATL");
    await world.until((head) => head.completed !== null, minutes(1));
    const [path = ""] = world.staged();
    held = false;
    await world.disk.files.write(path, 0, Buffer.from("something else, and longer than what was there"));
    const head = await world.until((found) => found.status === "failed", minutes(1));
    expect(head?.failures).toMatchObject([{ kind: "corrupt", message: expect.stringContaining(path) }]);
    expect(world.files()).toEqual([]);
  });

  it("C4 a checkpoint that a restore has left keeps its staged files: going back to it shows them", async () => {
    let committing = true;
    const way = (method: string, what: unknown) =>
      !committing && method === "stat" && String(what).includes("/.staged/") ? minutes(10) : 0;
    const world = running(numbering("stream"), { way });
    await world.wish();
    const put = async (records: number) => {
      for (let i = 0; i < records; i++) world.put("ATL");
      const before = (await world.head())?.completed?.checkpointId ?? 0;
      const head = await world.until(({ completed }) => (completed?.checkpointId ?? 0) > before, minutes(1));
      return head?.completed ?? null;
    };
    let wishes = 0;
    const restore = async (id: string, from: CheckpointRef | null) => {
      await world.wish(desired({ request: { id, kind: "restore", from, sinks: {}, dropped: [] } }), ++wishes);
    };
    const older = await put(3);
    await world.until(() => world.files().length > 0, minutes(1));
    committing = false;
    const newer = await put(2);
    const left = world.staged();
    expect(left).toHaveLength(1);
    committing = true;
    await restore("back", older);
    const head = await world.until(({ generation }) => generation === 2, minutes(1));
    expect(head?.left).toEqual([newer]);
    await world.until(() => false, 3_000);
    expect(world.staged()).toEqual(expect.arrayContaining(left));
    committing = true;
    await restore("forth", newer);
    await world.until(({ generation }) => generation > 2, minutes(1));
    await world.until(() => false, 5_000);
    expect((await world.head())?.failures).toEqual([]);
    // The replay has numbered 4 and 5 too, in a checkpoint that was left in its turn.
    expect(new Set((await world.lines()).map(({ n }) => n))).toEqual(new Set([1, 2, 3, 4, 5]));
    const shown = world.files().filter((path) => path.includes(String(newer?.checkpointId).padStart(12, "0")));
    expect(shown).toHaveLength(1);
  });
});

describe("file to file", () => {
  const input = (count: number, ending: string) =>
    Array.from({ length: count }, (_, i) => JSON.stringify({ airport: i % 2 === 0 ? "ATL" : "BOS" })).join("\n") +
    ending;

  it.each([["\n"], [""]])(
    "a last line counts with and without its end (%j); the pipeline is finished at the end",
    async (ending) => {
      const world = running(numbering("file"));
      await world.disk.files.write("/in/flights.jsonl", 0, Buffer.from(input(1_001, ending)));
      await world.wish();
      const head = await world.until((found) => found.endedAt !== null, minutes(5));
      expect(head).toMatchObject({ status: "finished", generation: 1, failures: [] });
      const lines = await world.lines();
      expect(lines.filter(({ airport }) => airport === "ATL")).toEqual(numbered("ATL", 501));
      expect(lines.filter(({ airport }) => airport === "BOS")).toEqual(numbered("BOS", 500));
    },
  );

  it("is finished though sessions die all the time, with every line once", async () => {
    let reads = 0;
    const way = (method: string, what: unknown) => {
      if (method !== "read" || typeof what !== "string") return 0;
      reads++;
      return 400;
    };
    const world = running(numbering("file"), { way });
    await world.disk.files.write("/in/flights.jsonl", 0, Buffer.from(input(40_000, "\n")));
    await world.wish();
    for (let i = 0; i < 6; i++) {
      await world.until((found) => found.endedAt !== null, 1_700);
      await world.crash();
    }
    const head = await world.until((found) => found.endedAt !== null, minutes(10));
    expect(head?.status).toBe("finished");
    const lines = await world.lines();
    expect(lines.filter(({ airport }) => airport === "ATL")).toEqual(numbered("ATL", 20_000));
    expect(lines).toHaveLength(40_000);
    expect(world.staged()).toEqual([]);
    expect(reads).toBeGreaterThan(0);
  });
});
