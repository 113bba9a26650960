import { json, kinesisSource, list, pipeline, type Sink, StreamError, text, value } from "tidemark";
import { describe, expect, it } from "vitest";

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
const source = kinesisSource({ stream: "in", codec: text });

/** The builders as JavaScript sees them: nothing is checked before they run. */
// biome-ignore lint/suspicious/noExplicitAny: what users without types call
type Loose = any;
const loosePipeline: Loose = pipeline;
const looseKinesisSource: Loose = kinesisSource;

/** The message of the `invalid` error that the call throws. */
function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(StreamError);
    expect((error as StreamError).kind).toBe("invalid");
    return (error as StreamError).message;
  }
  throw new Error("nothing was thrown");
}

const built = (build: (flow: Loose) => unknown) => refusal(() => loosePipeline("p", {}, build));
const withOptions = (options: unknown) =>
  refusal(() => loosePipeline("p", options, (flow: Loose) => flow.from("in", source).to("out", sink)));
const named = (name: unknown, operator: unknown) =>
  built((flow) =>
    flow
      .from("in", source)
      .keyBy((line: string) => line)
      .process(name, operator)
      .to("out", sink),
  );
const processed = (operator: unknown) => named("o", operator);
const withState = (state: unknown) => processed({ state, onRecord: () => {} });

describe("names", () => {
  it.each([
    ["missing", undefined, "missing"],
    ["no string", 7, "a number"],
    ["empty", "", "is empty"],
    ["too long", "a".repeat(65), "at most 64"],
    ["with a slash", "a/b", '"a/b"'],
    ["with a space", "a b", '"a b"'],
    ["a dot alone", ".", '"."'],
    ["a path upwards", "..", '".."'],
    ["of the prototype", "__proto__", '"__proto__"'],
    ["of every object", "constructor", "every JavaScript object"],
  ])("a name that is %s is refused for pipelines, sources, operators and sinks", (_, name, says) => {
    expect(refusal(() => loosePipeline(name, {}, () => {}))).toContain(says);
    expect(built((flow) => flow.from(name, source).to("out", sink))).toContain(says);
    expect(built((flow) => flow.from("in", source).to(name, sink))).toContain(says);
    expect(named(name, { state: {}, onRecord: () => {} })).toContain(says);
    const reduced = built((flow) => flow.from("in", source).keyBy(String).reduce(name, Math.max));
    expect(reduced).toContain(says);
    expect(reduced).toContain('pipeline "p"');
  });

  it("64 characters, letters, digits, - _ and . are a name", () => {
    const name = `a-b_c.D9${"x".repeat(56)}`;
    const made = pipeline(name, {}, (flow) => flow.from(name, source).to(name, sink));
    expect(made.name).toHaveLength(64);
  });

  it("two sources, operators or sinks of one name", () => {
    expect(built((flow) => [flow.from("in", source), flow.from("in", source)])).toBe(
      'pipeline "p": two sources are called "in"; give each a name of its own',
    );
    expect(
      built((flow) => {
        const lines = flow.from("in", source);
        return [lines.to("out", sink), lines.to("out", sink)];
      }),
    ).toContain('two sinks are called "out"');
    expect(
      built((flow) => {
        const keyed = flow.from("in", source).keyBy(String);
        keyed.reduce("total", Math.max).to("a", sink);
        return keyed.process("total", { state: {}, onRecord: () => {} }).to("b", sink);
      }),
    ).toContain('two operators are called "total"');
  });
});

describe("shape", () => {
  it("a stream that ends nowhere is named, keyed or not", () => {
    expect(built((flow) => void flow.from("in", source))).toContain('source "in" ends nowhere');
    const beside = (make: (lines: Loose) => unknown) =>
      built((flow) => {
        const lines = flow.from("in", source);
        make(lines);
        return lines.to("out", sink);
      });
    expect(beside((lines) => lines.map(String))).toContain('pipeline "p": the .map() after source "in" ends nowhere');
    expect(beside((lines) => lines.keyBy(String))).toContain('the .keyBy() after source "in" ends nowhere');
    expect(beside((lines) => lines.keyBy(String).reduce("r", Math.max))).toContain('operator "r" ends nowhere');
    expect(beside((lines) => lines.keyBy(String).reduce("r", Math.max).filter(Boolean))).toContain(
      'the .filter() after operator "r" ends nowhere',
    );
  });

  it("a pipeline without a sink", () => {
    expect(built(() => {})).toContain("has no sink");
    expect(built(() => [])).toContain("has no sink");
  });

  it("a build callback that returns no output", () => {
    expect(built((flow) => flow.from("in", source))).toContain("returns an object; return what .to() returns");
    expect(built((flow) => [flow.from("in", source).to("out", sink), 7])).toContain("returns a number");
    expect(built(() => null)).toContain("returns null");
    const sneaky = (flow: Loose) => Promise.resolve(flow.from("in", source).to("out", sink));
    expect(built(sneaky)).toContain("returns a promise");
    expect(built(async () => {})).toContain("is an async function");
    let other: unknown;
    pipeline("other", {}, (flow) => {
      other = flow.from("in", source).to("out", sink);
    });
    expect(built(() => other)).toContain("return what .to() returns");
  });

  it("missing options or callback", () => {
    expect(refusal(() => loosePipeline("p", () => {}))).toContain("write pipeline(name, options, build)");
    expect(refusal(() => loosePipeline("p", {}))).toContain("the build callback: must be a function, not undefined");
    expect(refusal(() => loosePipeline("p", null, () => {}))).toContain("the second argument is null");
  });

  it("a builder that is used after its callback ended", () => {
    const kept: Loose[] = [];
    pipeline("p", {}, (flow) => {
      const lines = flow.from("in", source);
      const keyed = lines.keyBy((line) => line);
      kept.push(flow, lines, keyed);
      return [lines.to("out", sink), keyed.reduce("r", (a) => a).to("reduced", sink)];
    });
    const [flow, lines, keyed] = kept;
    const calls: (() => unknown)[] = [
      () => flow.from("late", source),
      () => lines.map(String),
      () => lines.filter(Boolean),
      () => lines.flatMap(Array),
      () => lines.keyBy(String),
      () => lines.to("late", sink),
      () => keyed.reduce("late", Math.max),
      () => keyed.process("late", { state: {}, onRecord: () => {} }),
    ];
    for (const call of calls) expect(refusal(call)).toMatch(/^pipeline "p": \.\w+\(\) was called after/);
  });

  it("a builder is closed also where its callback threw, and the callback's own error comes through", () => {
    let kept: Loose;
    const fail = () =>
      pipeline("p", {}, (flow) => {
        kept = flow;
        throw new RangeError("mine");
      });
    expect(fail).toThrow(RangeError);
    expect(refusal(() => kept.from("late", source))).toContain("was called after");
  });

  it("mapAsync: its name, its options, its call, and B2 a time-out that a checkpoint could not wait for", () => {
    const good = { concurrency: 1, timeout: "5s" };
    const call = async (line: string) => line;
    const asking = (name: unknown, options: unknown, asked: unknown = call) =>
      built((flow) => flow.from("in", source).mapAsync(name, options, asked).to("out", sink));
    expect(asking("", good)).toContain("name");
    expect(asking("ask", undefined)).toMatch(/operator "ask": must be an object/);
    expect(asking("ask", { ...good, retries: 1 })).toContain('"retries" is not known');
    for (const concurrency of [0, 1.5, 10_001, undefined, "2"])
      expect(asking("ask", { ...good, concurrency })).toContain(
        'operator "ask": concurrency: must be a whole number from 1 to',
      );
    expect(asking("ask", { ...good, ordered: "yes" })).toContain("ordered: must be true or false");
    for (const timeout of [undefined, 5, "5", "0s"])
      expect(asking("ask", { ...good, timeout })).toMatch(/operator "ask": timeout: .*duration/);
    expect(asking("ask", { ...good, timeout: "16m" })).toContain("15 minutes");
    expect(asking("ask", good, "call")).toContain("must be a function");
    expect(asking("ask", { ...good, timeout: "31s" })).toMatch(
      /^pipeline "p", operator "ask": timeout: 31000 ms is longer than checkpoint.timeout \(30000 ms\)/,
    );
    const twice = (flow: Loose) =>
      flow.from("in", source).mapAsync("ask", good, call).mapAsync("ask", good, call).to("out", sink);
    expect(built(twice)).toContain('"ask"');
  });

  it("no source, no sink, a sink without a key or with another delivery", () => {
    for (const wrong of [undefined, null, "in", 7, {}, sink, source.codec]) {
      expect(built((flow) => flow.from("in", wrong).to("out", sink))).toMatch(/source "in": is given .* no source/);
    }
    for (const wrong of [undefined, null, "out", 7, {}, source]) {
      expect(built((flow) => flow.from("in", source).to("out", wrong))).toMatch(/sink "out": is given .* no sink/);
    }
    const without = { ...sink, keyOf: undefined };
    expect(built((flow) => flow.from("in", source).to("out", without))).toContain('sink "out": has no key');
    const odder = { ...sink, delivery: "later" };
    expect(built((flow) => flow.from("in", source).to("out", odder))).toContain("has the delivery");
    const odd = { ...sink, config: { since: new Date(0) } };
    expect(built((flow) => flow.from("in", source).to("out", odd))).toContain("config.since: is an object of Date");
  });

  it("what is no function, asynchronous, or a generator where nothing is yielded", () => {
    for (const step of ["map", "filter", "flatMap", "keyBy"]) {
      const given = (change: unknown) => built((flow) => flow.from("in", source)[step](change));
      expect(given(undefined)).toContain(
        `pipeline "p", .${step}() after source "in": must be a function, not undefined`,
      );
      expect(given(async () => [])).toContain("operators are synchronous");
      expect(given(function* () {})).toContain("may only be yielded by onRecord");
    }
    expect(built((flow) => flow.from("in", source).keyBy(String).reduce("r"))).toContain('operator "r"');
    expect(processed({ state: {}, onRecord: async () => {} })).toContain(
      'operator "o": onRecord: is an async function',
    );
    expect(processed({ state: {}, async *onRecord() {} })).toContain("is an async function");
    expect(processed({ state: {} })).toContain("onRecord: must be a function, not undefined");
  });
});

describe("operators and their state", () => {
  it("what is no operator, or has a misspelt member", () => {
    expect(processed(undefined)).toContain(
      'operator "o": must be an object with version, migrate, parallelism, state, onRecord',
    );
    expect(processed(() => {})).toContain("not a function");
    expect(processed({ state: {}, onrecord: () => {} })).toContain('"onrecord" is not known');
  });

  it("a version that is no whole number of 1 or more; a parallelism that is none of 1 to 64", () => {
    for (const version of [0, -1, 1.5, Number.NaN, "1"]) {
      expect(processed({ version, state: {}, onRecord: () => {} })).toContain("version: must be a whole number");
    }
    for (const parallelism of [0, 65, 1.5, "2", null]) {
      expect(processed({ parallelism, state: {}, onRecord: () => {} })).toContain(
        'operator "o": parallelism: must be a whole number from 1 to 64',
      );
    }
    const reduced = (...options: unknown[]) =>
      built((flow) =>
        flow
          .from("in", source)
          .keyBy(String)
          .reduce("r", Math.max, ...options)
          .to("out", sink),
      );
    expect(reduced({ parallelism: 65 })).toContain('operator "r": parallelism: must be a whole number from 1 to 64');
    expect(reduced({ paralelism: 2 })).toContain('operator "r": options: "paralelism" is not known');
    expect(reduced(2)).toContain("must be an object with version, migrate, parallelism, not a number");
  });

  it("P2 migrations that begin at no version before this one, with a step missing, or that are none", () => {
    const step = (old: unknown) => old;
    const migrating = (version: number, migrate: unknown) => processed({ version, migrate, state: {}, onRecord() {} });
    expect(migrating(3, { 1: step })).toContain(
      'operator "o": migrate: has no step from version 2 to 3, so that state of version 1 cannot become version 3; add 2: (old)',
    );
    expect(migrating(4, { 1: step, 3: step })).toContain("has no step from version 2 to 3");
    expect(migrating(2, { 2: step })).toContain('a step from version "2", but this is version 2');
    expect(migrating(2, { first: step })).toContain('a step from version "first"');
    expect(migrating(2, { 1: 7 })).toContain("migrate, the step from version 1: must be a function, not a number");
    expect(migrating(2, { 1: async () => {} })).toContain("is an async function");
    expect(migrating(2, [step])).toContain("migrate: must be an object of functions by version");
  });

  it("state that is missing, no declaration, or without a usable name", () => {
    expect(withState(undefined)).toContain("state: must be an object of value(), list() and map()");
    expect(withState([])).toContain("not an array");
    expect(withState({ n: 0 })).toContain('operator "o", state "n": is a number; declare it with value(initial)');
    expect(withState({ n: null })).toContain('state "n": is null');
    expect(withState({ n: value })).toContain('state "n": is a function');
    expect(withState({ n: { declaration: { kind: "set" } } })).toContain('state "n"');
    expect(withState({ "": list() })).toContain("a state's name is empty");
    expect(withState({ "a b": list() })).toContain('"a b"');
    expect(withState({ ["__proto__"]: list() })).toContain('"__proto__"');
    expect(withState({ __proto__: list() })).toContain("__proto__");
    expect(withState(new Map())).toContain("an object of Map");
  });

  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  it.each([
    ["NaN", Number.NaN, "initial value: is NaN"],
    ["an infinity", { a: Number.POSITIVE_INFINITY }, "initial value.a: is Infinity"],
    ["a bigint", 1n, "is a bigint"],
    ["a date", { at: new Date(0) }, "initial value.at: is an object of Date"],
    ["a map", new Map(), "an object of Map"],
    ["a function", [() => 1], "initial value[0]: is a function"],
    ["undefined inside", { a: undefined }, "initial value.a: is undefined"],
    ["a hole", new Array(1), "initial value[0]: is undefined"],
    ["an instance", new (class Total {})(), "an object of Total"],
    ["bytes", new Uint8Array(1), "an object of Uint8Array"],
    ["a symbol", Symbol("s"), "is a symbol"],
    ["a cycle", cycle, "contains itself"],
    ["a __proto__", JSON.parse('{"__proto__":1}'), "__proto__"],
  ])("an initial value that JSON cannot hold: %s", (_, initial, says) => {
    const message = withState({ total: value<unknown>(initial) });
    expect(message).toContain('pipeline "p", operator "o", state "total": initial value');
    expect(message).toContain(says);
  });

  it("null, false, 0, -0, an empty text and nested plain data are initial values", () => {
    const initials = [null, false, 0, -0, "", [], {}, Object.create(null), { a: [{ b: null }] }];
    const made = pipeline("p", {}, (flow) => {
      const keyed = flow.from("in", source).keyBy((line) => line);
      return initials.map((initial, index) =>
        keyed
          .process(`o${index}`, { state: { s: value<unknown>(initial) }, onRecord: (line) => line })
          .to(`s${index}`, sink),
      );
    });
    const kept = made.plan.graph.nodes.flatMap((node) => (node.kind === "process" ? [node.state.s?.initial] : []));
    expect(kept).toEqual([null, false, 0, 0, "", [], {}, {}, { a: [{ b: null }] }]);
  });
});

describe("options", () => {
  it.each([
    [{ checkpont: {} }, 'options: "checkpont" is not known; it may have parallelism, checkpoint'],
    [{ checkpoint: { intervall: "1s" } }, 'options.checkpoint: "intervall" is not known'],
    [{ restart: { delay: "1s" } }, 'options.restart: "delay" is not known'],
    [{ session: { reserved: "1s" } }, 'options.session: "reserved" is not known'],
    [{ idle: { after: "1s" } }, 'options.idle: "after" is not known'],
    [{ checkpoint: "10s" }, "options.checkpoint: must be an object"],
    [{ checkpoint: null }, "options.checkpoint: must be an object"],
    [{ restart: [] }, "not an array"],
    [{ idle: "sometimes" }, 'options.idle: must be "never" or'],
    [{ idle: {} }, 'options.idle: must be "never" or'],
    [{ idle: { suspendAfter: "5" } }, 'options.idle.suspendAfter: "5" is not a duration'],
    [{ idle: { suspendAfter: "999ms" } }, "is less than a task needs to see that it is idle"],
    [{ parallelism: 0 }, "options.parallelism: must be a whole number from 1"],
    [{ parallelism: 1.5 }, "options.parallelism: must be a whole number"],
    [{ parallelism: "1" }, "options.parallelism: must be a whole number"],
    [{ parallelism: 65 }, "options.parallelism: must be a whole number from 1 to 64, not 65"],
    [{ checkpoint: { mode: "at-least-once", alignment: "aligned" } }, "leave one of them out"],
    [{ checkpoint: { mode: "exactly" } }, 'must be "exactly-once" or "at-least-once"'],
    [{ checkpoint: { alignment: "at-least-once" } }, 'must be "unaligned" or "aligned"'],
    [{ onBadRecord: "skip" }, 'must be "fail" or "quarantine"'],
    [{ checkpoint: { interval: "10" } }, 'options.checkpoint.interval: "10" is not a duration'],
    [{ checkpoint: { interval: 10 } }, "options.checkpoint.interval: must be a duration"],
    [{ checkpoint: { interval: ["10s"] } }, "must be a duration"],
    [{ checkpoint: { interval: "0s" } }, "is not a duration"],
    [{ checkpoint: { interval: "0.1ms" } }, "is not a duration"],
    [{ checkpoint: { interval: "99999999999999h" } }, "is not a duration"],
    [{ checkpoint: { interval: "-1s" } }, "is not a duration"],
    [{ checkpoint: { interval: "1 s" } }, "is not a duration"],
    [{ checkpoint: { minPause: "0" } }, "options.checkpoint.minPause"],
    [{ checkpoint: { retained: 0 } }, "options.checkpoint.retained: must be a whole number from 1"],
    [{ checkpoint: { tolerableFailures: -1 } }, "must be a whole number from 0"],
    [{ restart: { attempts: 0 } }, "must be a whole number from 1 to 10"],
    [{ restart: { attempts: 11 } }, "must be a whole number from 1 to 10"],
    [{ restart: { initialDelay: "2m" } }, "longer than maxDelay"],
    [{ session: { reserve: "15m" } }, "a function lives at most 15 minutes"],
  ])("%j", (options, says) => {
    const message = withOptions(options);
    expect(message).toMatch(/^pipeline "p": options/);
    expect(message).toContain(says);
  });

  it("B5 the time-out is at most half of the session's reserve", () => {
    const made = (timeout: "45s" | "46s" | "30s", reserve: "90s" | "59s") =>
      pipeline("p", { checkpoint: { timeout }, session: { reserve } }, (flow) =>
        flow.from("in", source).to("out", sink),
      );
    expect(made("45s", "90s").plan.settings.timeout).toBe(45_000);
    expect(refusal(() => made("46s", "90s"))).toContain("more than half of session.reserve (90000 ms)");
    expect(refusal(() => made("30s", "59s"))).toContain("options.checkpoint.timeout");
  });

  it("a quarantine needs a sink that takes each dead letter once, and a sink needs a quarantine", () => {
    expect(withOptions({ onBadRecord: "quarantine" })).toMatch(/^pipeline "p", deadLetters: .* needs a sink/);
    expect(withOptions({ deadLetters: sink })).toMatch(/^pipeline "p": .* add onBadRecord: "quarantine"$/);
    expect(withOptions({ onBadRecord: "fail", deadLetters: sink })).toContain("fails at a bad record");
    for (const wrong of [7, {}, source, "dead-letters"])
      expect(withOptions({ onBadRecord: "quarantine", deadLetters: wrong })).toMatch(
        /deadLetters: is given .* no sink/,
      );
    const eager = { ...sink, delivery: "eager", keyFor: String };
    expect(withOptions({ onBadRecord: "quarantine", deadLetters: eager })).toContain("deadLetters: cannot be eager");
    const named = () =>
      loosePipeline("p", { onBadRecord: "quarantine", deadLetters: sink }, (flow: Loose) =>
        flow.from("in", source).to("dead-letters", sink),
      );
    expect(refusal(named)).toContain('"dead-letters"');
  });

  it("a member that is undefined counts as missing", () => {
    const options: Loose = { checkpoint: { interval: undefined }, restart: undefined, idle: undefined };
    const { settings } = pipeline("p", options, (flow) => flow.from("in", source).to("out", sink)).plan;
    expect(settings.interval).toBe(10_000);
  });
});

describe("kinesisSource", () => {
  const at = new Date("2026-01-01T00:00:00Z");
  const later = new Date("2026-01-02T00:00:00Z");

  it("start and end become the configuration", () => {
    const config = (options: object) => looseKinesisSource({ stream: "in", codec: json(), ...options }).config;
    expect(config({})).toEqual({ stream: "in", codec: "json", start: "latest", end: null, aggregation: "kpl" });
    expect(config({ start: "latest" }).start).toBe("latest");
    expect(config({ start: "trim-horizon" }).start).toBe("horizon");
    expect(config({ start: { at }, end: { at: later } })).toMatchObject({ start: at.getTime(), end: later.getTime() });
    expect(config({ start: "trim-horizon", end: { at } }).end).toBe(at.getTime());
  });

  it.each([
    [undefined, "must be an object"],
    [{ stream: "", codec: text }, "stream: must be a stream's name"],
    [{ stream: "a/b", codec: text }, '"a/b"'],
    [{ codec: text }, "stream: must be a stream's name"],
    [{ stream: "in" }, "codec: must be json(schema), text or bytes, not undefined"],
    [{ stream: "in", codec: json }, "codec: must be json(schema), text or bytes, not a function"],
    [{ stream: "in", codec: null }, "codec: must be"],
    [{ stream: "in", codec: text, from: "latest" }, '"from" is not known'],
    [{ stream: "in", codec: text, start: "earliest" }, 'must be "latest", "trim-horizon" or'],
    [{ stream: "in", codec: text, start: { at: "2026-01-01" } }, "start.at: must be a Date"],
    [{ stream: "in", codec: text, start: { at: new Date("x") } }, "not an invalid date"],
    [{ stream: "in", codec: text, start: { at }, end: { at } }, "is not after start"],
    [{ stream: "in", codec: text, end: {} }, "end.at: must be a Date"],
    [{ stream: "in", codec: text, end: "now" }, "end: must be an object"],
  ])("%#: a mistake in its options", (options, says) => {
    expect(refusal(() => looseKinesisSource(options))).toContain(says);
  });
});
