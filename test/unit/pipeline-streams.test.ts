// Streams that are put together: union and connect. And parallelism, which is beside the graph.
import { type Flow, kinesisSource, pipeline, type Sink, StreamError, text, value } from "tidemark";
import { describe, expect, it } from "vitest";
import { hasState, inputsOf } from "../../lib/pipeline/plan.js";

const sink: Sink<unknown> = {
  kind: "memory",
  delivery: "held",
  config: {},
  keyOf: String,
  open: () => ({
    target: "t",
    check: async () => {},
    close: async () => {},
    validate: () => {},
    apply: async () => {},
  }),
};
const eager: Sink<unknown> = {
  ...sink,
  delivery: "eager",
  keyFor: String,
  open: () => ({ target: "t", check: async () => {}, close: async () => {}, put: async () => {} }),
};
const source = kinesisSource({ stream: "in", codec: text });

/** The builders as JavaScript sees them. */
// biome-ignore lint/suspicious/noExplicitAny: what users without types call
type Loose = any;

function refusal(build: (flow: Loose) => unknown): string {
  try {
    pipeline("p", {}, build as never);
  } catch (error) {
    expect(error).toBeInstanceOf(StreamError);
    expect((error as StreamError).kind).toBe("invalid");
    return (error as StreamError).message;
  }
  throw new Error("nothing was thrown");
}

describe("union", () => {
  it("is a step with all its inputs, and has no function", () => {
    const { plan } = pipeline("p", {}, (flow) => {
      const [a, b, c] = [flow.from("a", source), flow.from("b", source), flow.from("c", source)];
      return a
        .map((line) => line.length)
        .union(b, c)
        .to("out", sink);
    });
    expect(plan.graph.nodes[4]).toEqual({ id: 4, kind: "union", inputs: [3, 1, 2] });
    expect(inputsOf(plan.graph.nodes[4] as never)).toEqual([3, 1, 2]);
    expect([...plan.functions.keys()]).toEqual([3]);
    expect(Object.isFrozen(plan.graph.nodes[4]) && Object.isFrozen((plan.graph.nodes[4] as Loose).inputs)).toBe(true);
  });

  it("refuses what is no stream of the same pipeline, and says what it is", () => {
    const united = (...others: unknown[]) =>
      refusal((flow) =>
        flow
          .from("in", source)
          .union(...others)
          .to("out", sink),
      );
    expect(united()).toBe('pipeline "p", .union() after source "in": is given no stream; write .union(other)');
    expect(united(7)).toContain("is given a number, which is no stream of a pipeline");
    expect(united({})).toContain("is given an object, which is no stream of a pipeline");
    const others: unknown[] = [];
    pipeline("other", {}, (flow) => {
      const lines = flow.from("lines", source);
      others.push(lines);
      return lines.to("out", sink);
    });
    expect(united(others[0])).toContain(
      'is given the stream behind source "lines" of pipeline "other"; streams of two pipelines cannot be put together',
    );
    expect(
      refusal((flow) => {
        const lines = flow.from("in", source);
        return lines.union(lines.keyBy(String)).to("out", sink);
      }),
    ).toContain("is given a keyed stream, not a stream; unite the streams first");
  });

  it("that ends nowhere is named; so is what stands behind it", () => {
    const beside = (make: (united: Loose) => unknown) =>
      refusal((flow) => {
        const lines = flow.from("in", source);
        make(lines.union(flow.from("more", source)));
        return lines.to("out", sink);
      });
    expect(beside(() => {})).toBe(
      'pipeline "p": the .union() after source "in" ends nowhere; end its stream with .to(name, sink), or remove it',
    );
    expect(beside((united) => united.map(String))).toContain("the .map() after the .union() after source");
  });

  it("W3 an eager sink right behind a union is refused, whatever is before that", () => {
    const said = refusal((flow) => {
      const keyed = flow.from("in", source).keyBy(String);
      return keyed.reduce("a", Math.max).union(keyed.reduce("b", Math.max)).to("out", eager);
    });
    expect(said).toContain('it follows the .union() after operator "a"');
  });

  it("cannot be made after the build callback", () => {
    let lines: Loose;
    pipeline("p", {}, (flow) => {
      lines = flow.from("in", source);
      return lines.to("out", sink);
    });
    expect(() => lines.union(lines)).toThrow(".union() was called after the pipeline was built");
    expect(() => lines.keyBy(String)).toThrow(".keyBy() was called after the pipeline was built");
  });
});

describe("connect", () => {
  const joined = (flow: Flow, operator: object = {}, to: Sink<unknown> = sink) => {
    const left = flow.from("left", source).keyBy((line) => line);
    const right = flow
      .from("right", source)
      .map((line) => line.length)
      .keyBy(String);
    return left
      .connect(right)
      .process("join", {
        state: { n: value(1) },
        onLeft: (line, { key }) => ({ left: line, key }),
        *onRight(length, { key }) {
          yield { right: length, key };
        },
        ...operator,
      })
      .to("out", to);
  };

  it("is one operator with state, and one function for both sides", () => {
    const { plan } = pipeline("p", {}, (flow) => joined(flow, { version: 3 }));
    const node = plan.graph.nodes[5];
    expect(node).toEqual({
      id: 5,
      kind: "connect",
      name: "join",
      version: 3,
      left: 1,
      right: 4,
      state: { n: { kind: "value", initial: 1 } },
    });
    expect(node !== undefined && hasState(node)).toBe(true);
    expect(node === undefined ? [] : inputsOf(node)).toEqual([1, 4]);
    const call = plan.functions.get(5);
    expect(call?.("abc", { key: "k" }, 0)).toEqual({ left: "abc", key: "k" });
    expect(Array.from((call?.(3, { key: "k" }, 1) ?? []) as Iterable<unknown>)).toEqual([{ right: 3, key: "k" }]);
  });

  it("keeps the operator's `this` on both sides", () => {
    const { plan } = pipeline("p", {}, (flow) => {
      const keyed = flow.from("in", source).keyBy(String);
      return keyed
        .connect(keyed)
        .process("o", {
          version: 7,
          state: {},
          onLeft() {
            return [this.version, "left"];
          },
          onRight() {
            return [this.version, "right"];
          },
        })
        .to("out", sink);
    });
    expect(plan.functions.get(2)?.("a", {}, 0)).toEqual([7, "left"]);
    expect(plan.functions.get(2)?.("a", {}, 1)).toEqual([7, "right"]);
  });

  it("W3 an eager sink may stand right behind it", () => {
    expect(pipeline("p", {}, (flow) => joined(flow, {}, eager)).plan.sinks.get("out")).toBe(eager);
  });

  it("refuses what is no keyed stream of the same pipeline", () => {
    const connected = (other: (lines: Loose) => unknown) =>
      refusal((flow) => {
        const lines = flow.from("in", source);
        return lines
          .keyBy(String)
          .connect(other(lines))
          .process("o", { state: {}, onLeft: () => {}, onRight: () => {} })
          .to("out", sink);
      });
    expect(connected(() => undefined)).toContain("is given undefined, which is no keyed stream of a pipeline");
    expect(connected((lines) => lines)).toContain("is given a stream, not a keyed stream; call .keyBy() on it first");
    let other: unknown;
    pipeline("other", {}, (flow) => {
      const keyed = flow.from("lines", source).keyBy(String);
      other = keyed;
      return keyed.reduce("r", (a) => a).to("out", sink);
    });
    expect(connected(() => other)).toContain('of pipeline "other"; streams of two pipelines cannot be put together');
  });

  it("refuses operators without one of the functions, with a misspelt member, or with a name that is taken", () => {
    const said = (operator: object) => refusal((flow) => joined(flow, operator));
    expect(said({ onLeft: undefined })).toContain('operator "join": onLeft: must be a function, not undefined');
    expect(said({ onRight: 1 })).toContain('operator "join": onRight: must be a function, not a number');
    expect(said({ onRight: async () => {} })).toContain("onRight: is an async function");
    expect(said({ onRecord: () => {} })).toContain(
      '"onRecord" is not known; it may have version, migrate, parallelism, state, onLeft, onRight',
    );
    expect(said({ state: { n: 0 } })).toContain('operator "join", state "n": is a number; declare it');
    expect(said({ version: 0 })).toContain("version: must be a whole number from 1");
    expect(said({ parallelism: 65 })).toContain("parallelism: must be a whole number from 1 to 64");
    const twice = (flow: Loose) => [
      joined(flow),
      flow.from("more", source).keyBy(String).reduce("join", Math.max).to("rest", sink),
    ];
    expect(refusal(twice)).toContain('two operators are called "join"');
  });

  it("without an operator behind it ends nowhere", () => {
    const said = refusal((flow) => {
      const lines = flow.from("in", source);
      lines.keyBy(String).connect(lines.keyBy(String));
      return lines.to("out", sink);
    });
    expect(said).toContain('the .keyBy() after source "in" ends nowhere');
  });
});

describe("parallelism", () => {
  const build = (parallelism: number, operator?: number, reduce?: number) =>
    pipeline("p", { parallelism }, (flow) => {
      const keyed = flow.from("in", source).keyBy((line) => line);
      return [
        keyed
          .process("o", {
            ...(operator === undefined ? {} : { parallelism: operator }),
            state: {},
            onRecord: (line) => line,
          })
          .to("a", sink),
        keyed.reduce("r", (a) => a, reduce === undefined ? undefined : { parallelism: reduce }).to("b", sink),
      ];
    });

  it("of operators is a setting by name, and leaves the fingerprint as it is", () => {
    expect(build(1).plan.settings.operatorParallelism).toEqual({});
    expect(build(3).plan.settings).toMatchObject({ parallelism: 3, operatorParallelism: {} });
    const made = build(2, 64, 1);
    expect(made.plan.settings).toMatchObject({ parallelism: 2, operatorParallelism: { o: 64, r: 1 } });
    expect(Object.isFrozen(made.plan.settings.operatorParallelism)).toBe(true);
    expect(new Set([build(1), build(2), made].map(({ fingerprint }) => fingerprint)).size).toBe(1);
  });
});

describe("B2 the alignment of cuts", () => {
  const alignment = (checkpoint: object) =>
    pipeline("p", { checkpoint }, (flow) => flow.from("in", source).to("out", sink)).plan.settings;
  it('is "at-least-once" where that is the mode', () => {
    expect(alignment({})).toMatchObject({ mode: "exactly-once", alignment: "unaligned" });
    expect(alignment({ alignment: "aligned" })).toMatchObject({ mode: "exactly-once", alignment: "aligned" });
    const loose = { mode: "at-least-once", alignment: "at-least-once" };
    expect(alignment({ mode: "at-least-once" })).toMatchObject(loose);
    expect(alignment({ mode: "at-least-once", alignment: "unaligned" })).toMatchObject(loose);
  });
});
