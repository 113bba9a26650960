import { dynamoTable, json, kinesisSource, list, type PipelineOptions, pipeline } from "tidemark";
import { cloud, type Way } from "./runtime-world.js";

export interface Numbered {
  readonly key: string;
  readonly n: number;
}
export const minutes = (n: number) => n * 60_000;

/** Remembers the numbers of each key, in the order in which they came. */
export const remembering = (options: PipelineOptions, source: { readonly end?: Date } = {}) =>
  pipeline("p", { checkpoint: { interval: "1s" }, ...options }, (flow) =>
    flow
      .from(
        "numbers",
        kinesisSource({
          stream: "flights",
          codec: json<Numbered>(),
          start: "trim-horizon",
          ...(source.end === undefined ? {} : { end: { at: source.end } }),
        }),
      )
      .keyBy((record) => record.key)
      .process("remember", {
        state: { numbers: list<number>() },
        onRecord({ n }, { key, state }) {
          state.numbers.add(n);
          return { key, numbers: [...state.numbers.get()] };
        },
      })
      .to("keys", dynamoTable({ table: "keys", key: ["key"] })),
  );

export function running(
  made: ReturnType<typeof remembering>,
  { shards = 4, ...rest }: { shards?: number; way?: Way; lifetime?: number } = {},
) {
  const world = cloud(made, rest);
  world.stream.createStream("flights", shards);
  world.tables.createTable("keys", [{ name: "key", type: "string" }]);
  const expected = new Map<string, number[]>();
  let n = 0;
  const put = (records: number, keys = 10, padding = "") => {
    for (let i = 0; i < records; i++) {
      const key = `k${++n % keys}`;
      world.stream.put("flights", key, Buffer.from(JSON.stringify({ key, n, padding })));
      expected.set(key, [...(expected.get(key) ?? []), n]);
    }
  };
  const rows = () =>
    new Map(world.tables.items("keys").map((item) => [String(item.key), item.numbers as readonly number[]]));
  const settled = () => world.until(() => same(rows(), expected), minutes(3));
  return { ...world, put, rows, expected, settled };
}
export const same = (a: ReadonlyMap<string, readonly number[]>, b: ReadonlyMap<string, readonly number[]>) =>
  JSON.stringify([...a].sort()) === JSON.stringify([...b].sort());
