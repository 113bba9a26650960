import { list, map, value } from "tidemark";
import { describe, expect, it } from "vitest";
import { build, position, rows, run, type Stream, sink, source, task } from "./task-samples.js";

describe("order", () => {
  it("map, filter and flatMap: each record goes all the way before the next part of it", () => {
    const log: unknown[] = [];
    const one = task((stream: Stream) =>
      stream
        .flatMap((record) => [`${record}1`, `${record}2`, `${record}3`])
        .map((part) => {
          log.push(`map ${part}`);
          return part.toUpperCase();
        })
        .filter((part) => {
          log.push(`filter ${part}`);
          return !part.endsWith("2");
        }),
    );
    expect(run(one, "a", "b")).toEqual(["A1", "A3", "B1", "B3"]);
    expect(log.slice(0, 4)).toEqual(["map a1", "filter A1", "map a2", "filter A2"]);
    expect(one.recordsIn).toBe(2);
    expect(one.recordsOut).toBe(4);
  });

  it("a stream with several consumers: each gets every record, in the order in which they were built", () => {
    const log: string[] = [];
    const note = (name: string) => (record: unknown) => {
      log.push(`${name} ${record}`);
      return record;
    };
    const one = build((flow) => {
      const stream = flow.from("in", source());
      const shared = stream.map(note("shared"));
      shared.map(note("first")).to("first", sink());
      shared.map(note("second")).to("second", sink());
      stream.to("raw", sink());
    });
    run(one, "a");
    expect(log).toEqual(["shared a", "first a", "second a"]);
    expect(["first", "second", "raw"].map((name) => rows(one, name))).toEqual([["a"], ["a"], ["a"]]);
  });

  it("a flatMap of nothing emits nothing, and a filter passes the value on, not its answer", () => {
    expect(
      run(
        task((stream: Stream) => stream.flatMap(() => [])),
        "a",
      ),
    ).toEqual([]);
    expect(
      run(
        task((stream: Stream) => stream.filter((() => 1) as never)),
        "a",
      ),
    ).toEqual(["a"]);
  });

  it("several sources feed one plan, each its own streams", () => {
    const one = build((flow) => {
      flow
        .from("flights", source())
        .map((record) => `flight ${record}`)
        .to("flights", sink());
      flow
        .from("weather", source("w"))
        .map((record) => `weather ${record}`)
        .to("weather", sink());
    });
    one.take("a", position(1, "weather"));
    one.take("b", position(1, "flights"));
    expect([rows(one, "flights"), rows(one, "weather")]).toEqual([["flight b"], ["weather a"]]);
    expect(one.recordsIn).toBe(2);
  });

  it("W1 seq counts over all sinks of the task; of a key the newest row is kept, with its own seq", () => {
    const one = build((flow) => {
      const stream = flow.from("in", source());
      stream.map((record) => ["k", record]).to("left", sink());
      stream.map((record) => [record, record]).to("right", sink());
    });
    for (const record of ["a", "b"]) one.take(record, position());
    expect(one.outputs.get("left")?.take()).toEqual([{ key: "k", row: ["k", "b"], change: "put", seq: 3 }]);
    expect(
      one.outputs
        .get("right")
        ?.take()
        .map(({ key, seq }) => [key, seq]),
    ).toEqual([
      ["a", 2],
      ["b", 4],
    ]);
    expect(one.outputs.get("left")?.take()).toEqual([]);
    one.take("c", position());
    expect(one.outputs.get("left")?.take()).toEqual([{ key: "k", row: ["k", "c"], change: "put", seq: 5 }]);
    expect(one.recordsOut).toBe(6);
  });
});

describe("process", () => {
  const emitting = (emit: (record: unknown) => unknown) =>
    task((stream: Stream) =>
      stream
        .keyBy((record) => String(record))
        .process("op", { state: {}, onRecord: (record) => emit(record) as object }),
    );
  it.each<readonly [string, unknown, readonly unknown[]]>([
    ["nothing", undefined, []],
    ["a row", { n: 1 }, [{ n: 1 }]],
    ["null, which is a row", null, [null]],
    ["an array of rows", [{ n: 1 }, { n: 2 }], [{ n: 1 }, { n: 2 }]],
    ["an empty array", [], []],
    ["a map, which is a row", new Map([[1, 2]]), [new Map([[1, 2]])]],
    ["a text, which is a row", "ab", ["ab"]],
  ])("emits %s", (_, emitted, expected) => {
    expect(
      run(
        emitting(() => emitted),
        "a",
      ),
    ).toEqual(expected);
  });

  it("emits what a generator yields; state is that of its key while it runs, and after each row", () => {
    const one = task((stream: Stream) =>
      stream
        .keyBy(() => "k")
        .process("op", {
          state: { n: value(0), seen: list<unknown>(), by: map<string, number>() },
          *onRecord(record, { state, key }) {
            state.n.update((n) => n + 1);
            yield [key, record, state.n.get()];
            state.n.update((n) => n + 10);
            state.seen.add(record);
            state.by.set("x", state.n.get());
            yield [`${key}2`, state.n.get(), [...state.seen.get()], state.by.get("x")];
          },
        }),
    );
    expect(run(one, "a")).toEqual([
      ["k", "a", 1],
      ["k2", 11, ["a"], 11],
    ]);
    expect(run(one, "b")).toEqual([
      ["k", "b", 12],
      ["k2", 22, ["a", "b"], 22],
    ]);
  });

  it("the context tells key and position of the record, to every operator of the record", () => {
    const seen: unknown[] = [];
    const watch = (name: string) => ({
      state: {},
      onRecord(record: unknown, context: { readonly key: unknown; readonly position: unknown }) {
        seen.push([name, record, context.key, context.position]);
        return record as string;
      },
    });
    const one = task((stream: Stream) =>
      stream
        .keyBy((record) => [record as string, 1])
        .process("a", watch("a"))
        .keyBy(() => 5)
        .process("b", watch("b")),
    );
    // One view for all records, as a batch has it: what an operator keeps of it must stay.
    const view = { ...position(1) };
    for (const [i, record] of ["x", "y"].entries()) {
      Object.assign(view, { sequenceNumber: String(i + 1), subSequenceNumber: i === 0 ? null : 3 });
      one.take(record, view);
    }
    const at = (sequenceNumber: string, subSequenceNumber: number | null) => ({
      source: "in",
      shard: "shard-0",
      sequenceNumber,
      subSequenceNumber,
    });
    expect(seen).toEqual([
      ["a", "x", ["x", 1], at("1", null)],
      ["b", "x", 5, at("1", null)],
      ["a", "y", ["y", 1], at("2", 3)],
      ["b", "y", 5, at("2", 3)],
    ]);
  });

  it("two operators and two keys have states of their own", () => {
    const counting = {
      state: { n: value(0) },
      onRecord: (
        record: unknown,
        { state }: { state: { n: { update(f: (n: number) => number): void; get(): number } } },
      ) => {
        state.n.update((n) => n + 1);
        return `${record}${state.n.get()}`;
      },
    };
    const one = task((stream: Stream) =>
      stream
        .keyBy((record) => String(record))
        .process("a", counting)
        .keyBy(() => "all")
        .process("b", counting),
    );
    expect(run(one, "x", "y", "x")).toEqual(["x11", "y12", "x23"]);
    expect(one.tables.map(({ operator, keys }) => [operator, keys])).toEqual([
      ["a", 2],
      ["b", 1],
    ]);
  });

  it("reduce: the first record is its own merge, then each is merged into what was, by key", () => {
    const calls: unknown[] = [];
    const one = task((stream: Stream) =>
      stream
        .keyBy((record) => String(record)[0] as string)
        .reduce("sum", (left, right) => {
          calls.push([left, right]);
          return `${left}+${right}`;
        }),
    );
    expect(run(one, "a1", "b1", "a2", "a3")).toEqual(["a1", "b1", "a1+a2", "a1+a2+a3"]);
    expect(calls).toEqual([
      ["a1", "a2"],
      ["a1+a2", "a3"],
    ]);
    expect(one.tables.map(({ operator }) => operator)).toEqual(["sum"]);
  });

  it("keys such as __proto__ and constructor are keys like others", () => {
    const one = task((stream: Stream) =>
      stream
        .keyBy((record) => String(record))
        .process("op", {
          state: { n: value(0), by: map<string, number>() },
          onRecord(_record, { key, state }) {
            state.n.update((n) => n + 1);
            state.by.set("__proto__", (state.by.get("__proto__") ?? 0) + 1);
            return [[key, state.n.get(), state.by.get("__proto__")]];
          },
        }),
    );
    const keys = ["__proto__", "constructor", "toString", "a"];
    expect(run(one, ...keys, ...keys)).toEqual(keys.map((key) => [key, 2, 2]));
    expect(Object.prototype).not.toHaveProperty("n");
  });
});
