import { deleted, fileSink, text } from "tidemark";
import { describe, expect, it } from "vitest";
import { observeCompletion } from "../../lib/checkpoint/permit.js";
import type { Json } from "../../lib/model/canonical-json.js";
import type { CommitPermit } from "../../lib/model/checkpoints.js";
import type { SinkResources, TwoPhaseWriter } from "../../lib/pipeline/sink.js";
import type { Files } from "../../lib/ports/files.js";
import { openWriter } from "../../lib/runtime/writers.js";
import { memoryFiles } from "../../lib/testing/memory/files.js";
import { head, ref } from "./checkpoint-samples.js";
import { sinkResources } from "./sink-samples.js";

const permit = observeCompletion(head({ completed: ref(1) })) as CommitPermit;
const staged = "/acme/out/.staged";

/** A folder in memory, and the sink's writer in a session. */
function world(around: (files: Files) => Partial<Files> = () => ({})) {
  const disk = memoryFiles();
  const files: Files = { ...disk.files, ...around(disk.files) };
  const open = (session = "s1", task = "out-i-0.0-", gone: SinkResources["stage"]["gone"] = null): TwoPhaseWriter => {
    const stage = { task, session: `${task}1-${session}`, gone };
    const opened = openWriter(
      fileSink({ folder: "out" }),
      sinkResources({ files, stage, bind: (kind, name) => `/acme/${kind === "file" ? name : "wrong"}` }),
    );
    if (opened.delivery !== "two-phase") throw new Error("it is not two-phase");
    return opened.writer;
  };
  const shown = () => disk.paths().filter((path) => !path.startsWith(`${staged}/`));
  const hidden = () => disk.paths().filter((path) => path.startsWith(`${staged}/`) && !path.endsWith(".shown"));
  const read = async (path: string) => Buffer.from((await disk.files.read(path)) ?? "").toString();
  return { disk, open, shown, hidden, read };
}
/** Rows up to a cut, staged. */
async function prepare(writer: TwoPhaseWriter, unique: string, ...rows: readonly unknown[]): Promise<Json> {
  for (const row of rows) writer.write(row);
  const sealed = writer.seal(unique);
  if (sealed === null) throw new Error("nothing was sealed");
  expect(sealed.records).toBe(rows.length);
  return (await sealed.prepare()).prepared;
}

describe("C4 a file", () => {
  it("C4 is staged out of sight, whole and durable before the ack, and appears by the commit alone", async () => {
    const { disk, open, shown, hidden, read } = world();
    const writer = open();
    writer.write({ n: 1 });
    await writer.flush();
    writer.write({ n: 2, name: "Zürich" });
    const sealed = writer.seal("out-i-1-0.0");
    writer.write({ n: 3 });
    const done = await sealed?.prepare();
    expect([sealed?.records, done?.bytes, shown(), hidden().length]).toEqual([2, 33, [], 1]);
    disk.crash();
    expect(hidden()).toHaveLength(1);
    await writer.commit(done?.prepared ?? null, permit);
    disk.crash();
    expect([shown(), hidden()]).toEqual([["/acme/out/out-i-1-0.0.jsonl"], []]);
    expect(await read("/acme/out/out-i-1-0.0.jsonl")).toBe('{"n":1}\n{"n":2,"name":"Zürich"}\n');
    const next = await writer.seal("out-i-2-0.0")?.prepare();
    await writer.commit(next?.prepared ?? null, permit);
    expect(await read("/acme/out/out-i-2-0.0.jsonl")).toBe('{"n":3}\n');
  });

  it("an epoch without rows makes none; a codec that is not JSON makes text", async () => {
    const { disk, open } = world();
    expect(open().seal("x")).toBeNull();
    const opened = openWriter(
      fileSink({ folder: "/t", codec: text }),
      sinkResources({ files: disk.files, bind: (_, name) => name }),
    );
    if (opened.delivery !== "two-phase") throw new Error("it is not two-phase");
    await opened.writer.commit(await prepare(opened.writer, "u", "ä", "b"), permit);
    expect(Buffer.from((await disk.files.read("/t/u.txt")) ?? "").toString()).toBe("ä\nb\n");
  });

  it("C2 is committed by anyone, again and again, at the same time too: it is there once", async () => {
    const { open, shown, read } = world();
    const prepared = await prepare(open("dead"), "f", { n: 1 });
    await Promise.all(["s1", "s2", "s3"].map((session) => open(session).commit(prepared, permit)));
    await open("s4", "another-task").commit(prepared, permit);
    expect(shown()).toEqual(["/acme/out/f.jsonl"]);
    expect(await read("/acme/out/f.jsonl")).toBe('{"n":1}\n');
  });

  it("C4 that its reader took away does not come again, and is not missed by who commits again", async () => {
    const { disk, open, shown } = world();
    const prepared = await prepare(open(), "f", { n: 1 });
    await open().commit(prepared, permit);
    await disk.files.remove("/acme/out/f.jsonl");
    await open("later").sweep([]);
    await open("later").commit(prepared, permit);
    expect(shown()).toEqual([]);
  });

  it.each(["stat", "write", "sync", "move"] as const)(
    "C4 R5 the process dies around %s of the commit: whoever commits next ends with the file, once",
    async (dying) => {
      for (const [when, reader] of [
        ["before", "waits"],
        ["after", "waits"],
        ["before", "takes"],
        ["after", "takes"],
      ] as const) {
        let dies = true;
        const { disk, open, shown, read } = world((files) => ({
          [dying]: async (...args: never[]) => {
            const call = files[dying] as (...all: never[]) => Promise<unknown>;
            if (!dies) return call(...args);
            dies = false;
            if (when === "after") await call(...args);
            throw new Error("died");
          },
        }));
        dies = false;
        const prepared = await prepare(open(), "f", { n: 1 });
        dies = true;
        await expect(open().commit(prepared, permit)).rejects.toThrow("died");
        let taken = "";
        for (const path of reader === "takes" ? shown() : []) {
          taken += await read(path);
          await disk.files.remove(path);
        }
        await open("next").sweep([prepared]);
        await open("next").commit(prepared, permit);
        expect([when, reader, taken + (await read("/acme/out/f.jsonl"))]).toEqual([when, reader, '{"n":1}\n']);
      }
    },
  );

  it("C4 that is neither staged nor shown is lost: corrupt, by both names", async () => {
    const { disk, open } = world();
    const prepared = await prepare(open(), "f", { n: 1 });
    for (const path of disk.paths()) await disk.files.remove(path);
    await expect(open().commit(prepared, permit)).rejects.toMatchObject({
      kind: "corrupt",
      message: expect.stringMatching(
        /^neither \/acme\/out\/\.staged\/out-i-0\.0-1-s1-1 nor \/acme\/out\/f\.jsonl is there.*restore/,
      ),
    });
  });

  it("C4 of another size than was written is corrupt, staged or shown, and is not shown", async () => {
    const { disk, open, hidden, shown } = world();
    const prepared = await prepare(open(), "f", { n: 1 });
    await disk.files.write(hidden()[0] ?? "", 0, Buffer.from("longer than it was"));
    const other = { kind: "corrupt", message: expect.stringMatching(/ has 18 bytes, 8 were written: .*Restore/) };
    await expect(open().commit(prepared, permit)).rejects.toMatchObject(other);
    expect(shown()).toEqual([]);
    await disk.files.move(hidden()[0] ?? "", "/acme/out/f.jsonl");
    await expect(open().commit(prepared, permit)).rejects.toMatchObject(other);
  });

  it("B3 is not acked where it could not be written: the failure comes before", async () => {
    const { open } = world(() => ({
      write: async () => {
        throw new Error("disk full");
      },
    }));
    await expect(prepare(open(), "f", { n: 1 })).rejects.toThrow("disk full");
  });
});

describe("what a record did is taken back", () => {
  it("since the mark alone, also where rows were staged in between", async () => {
    const { open, read } = world();
    const writer = open();
    for (let n = 0; n < 3_000; n++) {
      writer.mark();
      writer.write({ n, body: "x".repeat(20) });
      if (n % 3 === 1) writer.rollback();
      if (n % 500 === 0) await writer.flush();
    }
    writer.mark();
    writer.rollback();
    const sealed = writer.seal("f");
    const prepared = (await sealed?.prepare())?.prepared ?? null;
    await writer.commit(prepared, permit);
    const lines = (await read("/acme/out/f.jsonl")).trimEnd().split("\n");
    const expected = Array.from({ length: 3_000 }, (_, n) => n).filter((n) => n % 3 !== 1);
    expect(lines.map((line) => (JSON.parse(line) as { n: number }).n)).toEqual(expected);
    expect(sealed?.records).toBe(2_000);
  });
});

describe("what earlier sessions left", () => {
  it("goes, but for what an ack lists, what this session makes, and what others do", async () => {
    const { disk, open, hidden } = world();
    const listed = await prepare(open("dead"), "listed", { n: 1 });
    await prepare(open("dead"), "unlisted", { n: 2 });
    await prepare(open("older"), "unlisted", { n: 3 });
    await prepare(open("other", "other-i-0.0-"), "unlisted", { n: 4 });
    const writer = open("mine");
    writer.write({ n: 5 });
    await writer.flush();
    await disk.files.write("/acme/out/theirs.csv", 0, Buffer.from("x"));
    // This session may be a zombie itself, whose successor has staged already.
    await disk.files.write(`${staged}/out-i-0.0-12-newer-1`, 0, Buffer.from("x"));
    await writer.sweep([listed]);
    expect(hidden().map((path) => path.slice(staged.length + 1))).toEqual([
      "other-i-0.0-1-other-1",
      "out-i-0.0-1-dead-1",
      "out-i-0.0-1-mine-1",
      "out-i-0.0-12-newer-1",
    ]);
    expect(disk.paths()).toContain("/acme/out/theirs.csv");
  });

  it("of receipts the newest are kept, far more than any checkpoint lists", async () => {
    const { disk, open } = world();
    const name = (n: number) => `out-i-${String(n).padStart(12, "0")}`;
    const files: Json[] = [];
    for (const n of [103, 104, 16_487]) {
      files.push(await prepare(open(`s${n}`), name(n), n));
      await open().commit(files.at(-1) ?? null, permit);
    }
    const [receipt = ""] = disk.paths().filter((path) => path.endsWith(".shown"));
    for (let n = 0; n < 16_488; n++) await disk.files.write(receipt.replace(name(103), name(n)), 0, new Uint8Array());
    await open("next").sweep([]);
    expect(disk.paths().filter((path) => path.endsWith(".shown"))).toHaveLength(16_384);
    for (const path of disk.paths()) if (path.endsWith(".jsonl")) await disk.files.remove(path);
    const [oldest, older, newest] = files;
    await open("next").commit(newest ?? null, permit);
    await open("next").commit(older ?? null, permit);
    await expect(open("next").commit(oldest ?? null, permit)).rejects.toMatchObject({ kind: "corrupt" });
  });

  it("C4 of receipts of tasks that are no more those stay that a checkpoint may still ask for", async () => {
    const { disk, open } = world();
    const receipt = (task: string, checkpoint: number, sink = "out-i") => {
      const [prefix, n] = [`${sink}-${task}-`, String(checkpoint).padStart(12, "0")];
      return `${prefix}${sink}-00000001-${n}-${task}.jsonl.shown`;
    };
    const newest = 20_000;
    const kept = newest - 16_383;
    const names = [
      ...[1, kept - 1, kept].map((n) => receipt("0.3", n)),
      receipt("0.1", 1),
      receipt("0.0", newest),
      receipt("0.3", 1, "other-i"),
      "out-i-0.3-nobody-knows.shown",
    ];
    for (const name of names) await disk.files.write(`${staged}/${name}`, 0, new Uint8Array());
    const left = () => disk.paths().map((path) => path.slice(staged.length + 1));
    await open("another", "out-i-0.1-").sweep([]);
    expect(left()).toEqual(names.toSorted());
    await open("first", "out-i-0.0-", { prefix: "out-i-", spared: ["out-i-0.1-"] }).sweep([]);
    expect(left()).toEqual(
      names.filter((name) => ![receipt("0.3", 1), receipt("0.3", kept - 1)].includes(name)).sort(),
    );
  });

  it("C4 a file of a task that is no more, which its reader took away, does not come again and is not missed", async () => {
    const { disk, open, shown } = world();
    const prepared = await prepare(open("dead", "out-i-0.3-"), "out-i-00000001-000000000007-0.3", { n: 1 });
    const first = () => open("first", "out-i-0.0-", { prefix: "out-i-", spared: [] });
    await first().commit(prepared, permit);
    await disk.files.remove(shown()[0] ?? "");
    await first().sweep([]);
    await first().commit(prepared, permit);
    expect(shown()).toEqual([]);
  });
});

it("a deletion is refused: lines are not taken back", () => {
  const { open } = world();
  expect(() => open().write(deleted({ id: "a" }))).toThrow(
    expect.objectContaining({ kind: "invalid", message: expect.stringContaining('fileSink "/acme/out"') }),
  );
  expect(() => open().write({})).not.toThrow();
});

it("a folder that cannot be written is told before anything is read", async () => {
  const { open } = world(() => ({
    write: async () => {
      throw new Error("read-only");
    },
  }));
  await expect(open().check()).rejects.toThrow("read-only");
  const { open: good, disk } = world();
  await good().check();
  expect(disk.paths()).toEqual([]);
});
