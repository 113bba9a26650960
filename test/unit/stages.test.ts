import fc from "fast-check";
import { type KeyedStream, kinesisSource, type Pipeline, pipeline, type Sink, type Stream, text } from "tidemark";
import { describe, expect, it } from "vitest";
import { hasState, inputsOf, type NodeId, parallelismOf } from "../../lib/pipeline/plan.js";
import { cutStages, type Stages } from "../../lib/pipeline/stages.js";

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
type Lines = Stream<string, unknown>;
type Keyed = KeyedStream<string, string, unknown>;
const longest = (a: string, b: string) => (a.length > b.length ? a : b);
const keyed = (lines: Lines): Keyed => lines.keyBy((line) => line);
const total = (lines: Lines | Keyed, name: string, parallelism?: number): Lines =>
  ("reduce" in lines ? lines : keyed(lines)).reduce(name, longest, parallelism === undefined ? {} : { parallelism });
const joined = (left: Lines, right: Lines, name: string, parallelism?: number): Lines =>
  keyed(left)
    .connect(keyed(right))
    .process(name, {
      ...(parallelism === undefined ? {} : { parallelism }),
      state: {},
      onLeft: (line) => line,
      onRight: (line) => line,
    });

describe("the stages of a plan", () => {
  it("at a parallelism of 1 are one, with all steps and no edges", () => {
    const { plan } = pipeline("p", {}, (flow) => {
      const united = flow.from("a", source).union(flow.from("b", source));
      return [total(joined(united, united, "join"), "total").to("out", sink), united.to("raw", sink)];
    });
    expect(cutStages(plan)).toEqual({
      stages: [
        {
          index: 0,
          name: "main",
          tasks: 1,
          nodes: plan.graph.nodes.map(({ id }) => id),
          sources: ["a", "b"],
          operators: ["join", "total"],
          sinks: ["out", "raw"],
        },
      ],
      edges: [],
    });
  });

  it("are cut at keyBy, whose producer has the key; steps without state stay where their input is", () => {
    const { plan } = pipeline("p", { parallelism: 4 }, (flow) =>
      total(
        flow.from("in", source).map((line) => line.trim()),
        "total",
      )
        .filter((line) => line !== "")
        .to("out", sink),
    );
    expect(cutStages(plan)).toEqual({
      stages: [
        { index: 0, name: "sources", tasks: 4, nodes: [0, 1, 2], sources: ["in"], operators: [], sinks: [] },
        { index: 1, name: "total", tasks: 4, nodes: [3, 4, 5], sources: [], operators: ["total"], sinks: ["out"] },
      ],
      edges: [{ name: "total", operator: 3, keyBys: [2], producers: [0], consumer: 1 }],
    });
  });

  it("of a pipeline without operators are one, however many tasks it has", () => {
    const { plan } = pipeline("p", { parallelism: 3 }, (flow) => flow.from("in", source).to("out", sink));
    expect(cutStages(plan)).toMatchObject({ stages: [{ name: "main", tasks: 3, nodes: [0, 1] }], edges: [] });
  });

  it("of one depth and parallelism are one stage, also where one is fed by a wider way", () => {
    const { plan } = pipeline("p", { parallelism: 2 }, (flow) => {
      const lines = flow.from("in", source);
      return [
        total(lines, "a").to("a", sink),
        total(lines, "b", 8).to("b", sink),
        total(total(lines, "c"), "d").to("d", sink),
        total(total(lines, "e", 8), "f").to("f", sink),
      ];
    });
    const { stages, edges } = cutStages(plan);
    expect(stages.map(({ name, tasks }) => `${name} ${tasks}`)).toEqual(["sources 2", "a+c 2", "b+e 8", "d+f 2"]);
    expect(edges.map(({ name, producers, consumer }) => `${name}: ${producers} > ${consumer}`)).toEqual([
      "a: 0 > 1",
      "b: 0 > 2",
      "c: 0 > 1",
      "d: 1 > 3",
      "e: 0 > 2",
      "f: 2 > 3",
    ]);
  });

  it("one task feeds one task of its own stage without an edge, and any other by one", () => {
    const { plan } = pipeline("p", {}, (flow) => {
      const fused = total(flow.from("in", source), "fused");
      const wide = total(fused, "wide", 5);
      const back = total(wide, "back");
      return [total(back, "after").to("out", sink), total(fused.union(wide), "both").to("both", sink)];
    });
    const { stages, edges } = cutStages(plan);
    expect(stages.map(({ operators, tasks }) => [tasks, ...operators])).toEqual([
      [1, "fused"],
      [5, "wide"],
      [1, "back", "after", "both"],
    ]);
    expect(edges.map(({ name, producers }) => [name, ...producers])).toEqual([
      ["wide", 0],
      ["back", 1],
      ["both", 0, 1],
    ]);
  });

  it("of both sides of a connect feed it; a step behind a union runs in the stages of all its inputs", () => {
    const { plan } = pipeline("p", { parallelism: 2 }, (flow) => {
      const raw = flow.from("raw", source);
      const counted = total(raw, "counted");
      const united = raw.union(counted).map((line) => line);
      return [united.to("mixed", sink), joined(raw, counted, "join").to("joined", sink)];
    });
    const { stages, edges } = cutStages(plan);
    const union = plan.graph.nodes.find((node) => node.kind === "union")?.id ?? -1;
    expect(stages.map(({ nodes }) => nodes.includes(union) && nodes.includes(union + 1))).toEqual([true, true, false]);
    expect(stages.map(({ sinks }) => sinks)).toEqual([["mixed"], ["mixed"], ["joined"]]);
    const join = edges.find(({ name }) => name === "join");
    const [left = -1, right = -1] = join?.keyBys ?? [];
    expect(join).toMatchObject({ producers: [0, 1], consumer: 2 });
    expect(stages[0]?.nodes).toContain(left);
    expect(stages[1]?.nodes).toContain(right);
  });

  it("have names of limited length, the first operator whole", () => {
    const many = (names: readonly string[]) =>
      cutStages(
        pipeline("p", { parallelism: 2 }, (flow) => {
          const lines = flow.from("in", source);
          return names.map((name) => total(lines, name).to(name, sink));
        }).plan,
      ).stages[1]?.name;
    const long = "x".repeat(64);
    expect(many([long])).toBe(long);
    expect(many([long, "b"])).toBe(`${long}+1 more`);
    expect(many(["a", "b", long, "d"])).toBe("a+b+2 more");
    expect(many(Array.from({ length: 100 }, (_, index) => `op${index}`))).toMatch(/^op0\+op1\+.*\+\d\d more$/);
    expect(many(Array.from({ length: 100 }, (_, index) => `op${index}`))?.length).toBeLessThanOrEqual(64);
  });
});

/** A step of a made-up pipeline: what it does, to which of the streams so far. */
const step = fc.record({
  kind: fc.constantFrom("source", "map", "total", "total", "union", "connect", "sink"),
  of: fc.nat(),
  with: fc.nat(),
  parallelism: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
});
const recipe = fc.record({
  parallelism: fc.integer({ min: 1, max: 3 }),
  steps: fc.array(step, { maxLength: 25 }),
});

function made({
  parallelism,
  steps,
}: typeof recipe extends fc.Arbitrary<infer R> ? R : never): Pipeline<unknown, unknown> {
  return pipeline("p", { parallelism }, (flow) => {
    const streams: Lines[] = [flow.from("first", source)];
    const at = (index: number): Lines => streams[index % streams.length] as Lines;
    steps.forEach((one, index) => {
      const name = `n${index}`;
      if (one.kind === "source") streams.push(flow.from(name, source));
      else if (one.kind === "map") streams.push(at(one.of).map((line) => line));
      else if (one.kind === "total") streams.push(total(at(one.of), name, one.parallelism));
      else if (one.kind === "union") streams.push(at(one.of).union(at(one.with)));
      else if (one.kind === "connect") streams.push(joined(at(one.of), at(one.with), name, one.parallelism));
      else at(one.of).to(name, sink);
    });
    streams.forEach((stream, index) => {
      stream.to(`end${index}`, sink);
    });
  });
}

const property = (check: (plan: Pipeline<unknown, unknown>["plan"], cut: Stages) => void) =>
  fc.assert(
    fc.property(recipe, (given) => {
      const { plan } = made(given);
      check(plan, cutStages(plan));
    }),
    { numRuns: 300 },
  );
const homesOf = ({ stages }: Stages, id: NodeId): readonly number[] =>
  stages.filter(({ nodes }) => nodes.includes(id)).map(({ index }) => index);
const merged = (lists: readonly (readonly number[])[]): readonly number[] =>
  [...new Set(lists.flat())].sort((a, b) => a - b);

describe("the stages of any plan", () => {
  it("every step runs: sources in the first stage alone, operators with state in one, the others where their inputs do", () => {
    property((plan, cut) => {
      for (const node of plan.graph.nodes) {
        const homes = homesOf(cut, node.id);
        if (node.kind === "source") expect(homes).toEqual([0]);
        else if (hasState(node)) expect(homes).toHaveLength(1);
        else expect(homes).toEqual(merged(inputsOf(node).map((input) => homesOf(cut, input))));
      }
    });
  });

  it("an operator has an edge from all stages of its inputs, or is with them in one stage that has one task", () => {
    property((plan, cut) => {
      for (const node of plan.graph.nodes.filter(hasState)) {
        const homes = homesOf(cut, node.id);
        const from = merged(inputsOf(node).map((input) => homesOf(cut, input)));
        const edges = cut.edges.filter(({ operator }) => operator === node.id);
        expect(cut.stages[homes[0] ?? -1]?.tasks).toBe(parallelismOf(plan.settings, node.name));
        const isFused = from.length === 1 && from[0] === homes[0];
        if (isFused) expect(cut.stages[homes[0] ?? -1]?.tasks).toBe(1);
        const edge = {
          name: node.name,
          operator: node.id,
          keyBys: inputsOf(node),
          producers: from,
          consumer: homes[0],
        };
        expect(edges).toEqual(isFused ? [] : [edge]);
        const mayFuse = from.length === 1 && cut.stages[from[0] ?? -1]?.tasks === 1;
        expect(isFused).toBe(mayFuse && parallelismOf(plan.settings, node.name) === 1);
      }
    });
  });

  it("edges lead to later stages; stages are in the order of depth, and those of one depth differ in parallelism", () => {
    property((_plan, cut) => {
      const depths: number[] = [];
      for (const { index } of cut.stages) {
        const producers = cut.edges.filter(({ consumer }) => consumer === index).flatMap((edge) => edge.producers);
        for (const producer of producers) expect(producer).toBeLessThan(index);
        depths.push(Math.max(-1, ...producers.map((producer) => depths[producer] ?? Number.NaN)) + 1);
      }
      expect(cut.stages.map(({ index }) => index)).toEqual(cut.stages.map((_, place) => place));
      expect(depths).toEqual([...depths].sort((a, b) => a - b));
      expect(depths.filter((depth) => depth === 0)).toHaveLength(1);
      const kinds = cut.stages.map(({ tasks }, index) => `${depths[index]} ${tasks}`);
      expect(new Set(kinds).size).toBe(kinds.length);
      cut.stages.forEach(({ nodes }, index) => {
        expect(nodes).toEqual([...nodes].sort((a, b) => a - b));
        const next = cut.stages[index + 1];
        if (depths[index] === depths[index + 1]) expect(nodes[0]).toBeLessThan(next?.nodes[0] ?? -1);
      });
    });
  });

  it("names tell them apart, and name what is in them", () => {
    property((plan, cut) => {
      expect(new Set(cut.stages.map(({ name }) => name)).size).toBe(cut.stages.length);
      expect(cut.stages[0]?.name).toBe(cut.stages.length === 1 ? "main" : "sources");
      const named = (kind: "source" | "sink") =>
        plan.graph.nodes.flatMap((node) => (node.kind === kind && "name" in node ? [node.name] : []));
      expect(cut.stages[0]?.sources).toEqual(named("source"));
      expect(new Set(cut.stages.flatMap(({ sinks }) => sinks))).toEqual(new Set(named("sink")));
      const operators = plan.graph.nodes.filter(hasState).map(({ name }) => name);
      expect(cut.stages.flatMap((stage) => stage.operators).sort()).toEqual(operators.sort());
    });
  });
});
