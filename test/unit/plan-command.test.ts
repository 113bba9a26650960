import {
  dynamoTable,
  fileSink,
  fileSource,
  json,
  kinesisSource,
  list,
  map,
  type PipelineOptions,
  pipeline,
  text,
  value,
} from "tidemark";
import { expect, it } from "vitest";
import { planMermaid } from "../../lib/cli/plan-mermaid.js";
import { planReport } from "../../lib/cli/plan-report.js";
import { planText } from "../../lib/cli/plan-text.js";
import { inputsOf } from "../../lib/pipeline/plan.js";

interface Order {
  readonly user: string;
}
const source = (stream: string) => kinesisSource({ stream, codec: json<Order>() });
const table = <K extends string>(name: string, key: K) => dynamoTable({ table: name, key: [key] });

const shop = (options: PipelineOptions) =>
  pipeline("shop", { onBadRecord: "quarantine", deadLetters: table("dead", "id"), ...options }, (flow) => {
    const orders = flow
      .from("web", source("web-orders"))
      .union(flow.from("old", fileSource({ path: "old.jsonl", codec: json<Order>() })))
      .mapAsync("ask", { concurrency: 5, timeout: "2s", ordered: false }, async (order) => order);
    const users = flow.from("users", source("users"));
    const named = orders
      .keyBy((order) => order.user)
      .connect(users.keyBy((user) => user.user))
      .process("join", {
        version: 2,
        state: { name: value<string>(), waiting: list<Order>(), seen: map<string, number>() },
        onLeft: (order) => order,
        onRight: () => undefined,
      });
    return [
      named
        .filter((order) => order.user !== "")
        .map((order) => ({ user: order.user }))
        .to("named", table("named", "user")),
      named
        .keyBy((order) => order.user)
        .reduce("last", (_a, b) => b, { parallelism: 1 })
        .to("last", dynamoTable({ table: "last", key: ["user"], delivery: "eager", stableKeys: true })),
      orders.to("raw", fileSink({ folder: "raw" })),
    ];
  }).plan;

it("the report has stages with what is in them, edges with their channels, and the dead-letter sink", () => {
  const plan = shop({ parallelism: 4, checkpoint: { alignment: "aligned" } });
  expect(planReport(plan)).toEqual({
    pipeline: "shop",
    fingerprint: plan.fingerprint,
    parallelism: 4,
    mode: "exactly-once",
    alignment: "aligned",
    tasks: 9,
    stages: [
      {
        index: 0,
        name: "sources",
        tasks: 4,
        sources: [
          { name: "web", kind: "kinesis", from: "web-orders" },
          { name: "old", kind: "file", from: "old.jsonl" },
          { name: "users", kind: "kinesis", from: "users" },
        ],
        operators: [],
        calls: [{ name: "ask", concurrency: 5, ordered: false, timeoutMillis: 2_000 }],
        sinks: [{ name: "raw", kind: "file", delivery: "two-phase" }],
      },
      {
        index: 1,
        name: "join",
        tasks: 4,
        sources: [],
        operators: [
          { name: "join", kind: "connect", version: 2, state: { name: "value", waiting: "list", seen: "map" } },
        ],
        calls: [],
        sinks: [{ name: "named", kind: "dynamo-table", delivery: "held" }],
      },
      {
        index: 2,
        name: "last",
        tasks: 1,
        sources: [],
        operators: [{ name: "last", kind: "reduce", version: 1, state: { value: "value" } }],
        calls: [],
        sinks: [{ name: "last", kind: "dynamo-table", delivery: "eager" }],
      },
    ],
    edges: [
      { name: "join", from: [0], to: 1, channels: 16 },
      { name: "last", from: [1], to: 2, channels: 4 },
    ],
    deadLetters: "dynamo-table",
    notes: [],
  });
});

it("as text it is a paragraph for each stage", () => {
  const plan = shop({ parallelism: 4 });
  expect(planText(planReport(plan))).toBe(`pipeline "shop": 3 stages, 9 tasks, 2 edges
exactly-once, unaligned, fingerprint ${plan.fingerprint.slice(0, 16)}…

stage 0 "sources", at most 4 tasks
  source    web    kinesis "web-orders"
  source    old    file "old.jsonl"
  source    users  kinesis "users"
  calls     ask    5 at a time, as they come, within 2.0 s
  sink      raw    file, two-phase

stage 1 "join", 4 tasks
  operator  join   connect, version 2, state: name (value), waiting (list), seen (map)
  sink      named  dynamo-table, held

stage 2 "last", 1 task
  operator  last   reduce, version 1, state: the merge
  sink      last   dynamo-table, eager

edges
  join   from stage 0 to stage 1, 16 channels
  last   from stage 1 to stage 2, 4 channels

dead letters: dynamo-table
`);
});

it("of one task is one stage, without edges", () => {
  const text = planText(planReport(shop({ checkpoint: { mode: "at-least-once" } })));
  expect(text).toMatch(/^pipeline "shop": 1 stage, 1 task, 0 edges\nat-least-once, at-least-once, /);
  expect(text).toContain('stage 0 "main", 1 task\n');
  expect(text).not.toContain("\nedges");
});

it("as a flowchart it has a box for each stage, and a step that runs in two is drawn in both", () => {
  const { plan } = pipeline("p", { parallelism: 2 }, (flow) => {
    const lines = flow.from("in", kinesisSource({ stream: "in", codec: text }));
    const counted = lines
      .keyBy((line) => line)
      .process("count", { parallelism: 3, state: {}, onRecord: (line) => line });
    return lines.union(counted).to("out", fileSink({ folder: "out" }));
  });
  expect(planMermaid(plan)).toBe(`flowchart LR
  subgraph stage0["sources × 2"]
    s0n0(["in"])
    s0n1("keyBy")
    s0n3("union")
    s0n4[("out")]
  end
  subgraph stage1["count × 3"]
    s1n2["count<br/>process"]
    s1n3("union")
    s1n4[("out")]
  end
  s0n0 --> s0n1
  s0n0 --> s0n3
  s0n3 --> s0n4
  s1n2 --> s1n3
  s1n3 --> s1n4
  s0n1 == "2 × 3" ==> s1n2
`);
});

it("an arrow of a flowchart stands for each step: within a stage thin, between stages thick", () => {
  for (const parallelism of [1, 4]) {
    const plan = shop({ parallelism });
    const drawn = planMermaid(plan);
    const known = new Set([...drawn.matchAll(/^ {4}(s\d+n\d+)[[(]/gm)].map((match) => match[1]));
    const arrows = [...drawn.matchAll(/^ {2}(s\d+n\d+) (-->|==.*==>) (s\d+n\d+)$/gm)];
    expect(arrows).toHaveLength(plan.graph.nodes.flatMap(inputsOf).length);
    for (const [, from, , to] of arrows) expect(known.has(from) && known.has(to)).toBe(true);
    const thick = arrows.filter(([, from = "", , to = ""]) => from.split("n")[0] !== to.split("n")[0]);
    expect(thick.map(([, , arrow]) => arrow)).toEqual(
      parallelism === 1 ? [] : ['== "4 × 4" ==>', '== "4 × 4" ==>', '== "4 × 1" ==>'],
    );
  }
});

it("W3 a held sink of several tasks that follows no operator with state is noted", () => {
  const notes = (parallelism: number) =>
    planReport(
      pipeline("p", { parallelism }, (flow) => {
        const orders = flow.from("in", source("in"));
        const last = orders.keyBy((order) => order.user).reduce("last", (_a, b) => b);
        const single = orders.keyBy((order) => order.user).reduce("single", (_a, b) => b, { parallelism: 1 });
        return [
          orders.map((order) => order).to("raw", table("raw", "user")),
          last.to("right-behind", table("right-behind", "user")),
          last
            .filter(() => true)
            .map((order) => order)
            .to("behind-steps", table("behind-steps", "user")),
          last.union(single).to("mixed", table("mixed", "user")),
          orders.to("files", fileSink({ folder: "files" })),
        ];
      }).plan,
    ).notes;
  expect(notes(1)).toEqual([]);
  expect(notes(4).map((note) => note.split(":")[0])).toEqual([
    'sink "raw" holds rows by key, is written by 4 tasks, and follows no operator with state',
    'sink "mixed" holds rows by key, is written by 5 tasks, and follows no operator with state',
  ]);
  expect(notes(4)[0]).toContain("the last writer is arbitrary. Put it behind an operator with the same key (W3)");
});

it("more tasks than are tested are noted", () => {
  const notes = (parallelism: number) => planReport(shop({ parallelism })).notes.join();
  expect(notes(31)).toBe("");
  expect(notes(32)).toContain("65 tasks: a pipeline is tested to 64");
  expect(planText(planReport(shop({ parallelism: 32 })))).toMatch(/\nnote: 65 tasks.*together\.\n$/);
});
