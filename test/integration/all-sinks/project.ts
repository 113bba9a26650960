// A pipeline of two stages that writes to every sink at once, and the tables that it needs.
import type { TestServer } from "../../fixtures/postgres/server.js";

export const name = "all-sinks";

/**
 * Of the first stage: counters per tag, and lines as they came. Of the second, which numbers the records of each word: all the others.
 * Every fourth row of a word takes its item away, every third its row in the database, and the next one brings it back.
 */
export const pipelineText = (parallelism: number): string => `
import {
  deleted, dynamoCounters, dynamoTable, fileSink, json, jsonLines, kinesisSource, kinesisStream, pipeline, s3Files, value,
} from "tidemark";
import { postgres } from "tidemark/postgres";

interface Word { readonly word: string; readonly seq: number; readonly tag: string }
interface Numbered extends Word { readonly n: number; readonly digest: number }

export default pipeline(
  "${name}",
  {
    parallelism: ${parallelism},
    checkpoint: { interval: "400ms", timeout: "4s", tolerableFailures: 100 },
    session: { reserve: "8s" },
    restart: { initialDelay: "50ms", maxDelay: "200ms", window: "1s" },
  },
  (flow) => {
    const words = flow.from("words", kinesisSource({ stream: "words", codec: json<Word>(), start: "trim-horizon" }));
    const numbered = words.keyBy((record) => record.word).process("number", {
      state: { n: value(0), digest: value(7) },
      onRecord({ word, seq, tag }, { state }): Numbered {
        state.n.update((n) => n + 1);
        state.digest.update((digest) => (digest * 31 + seq + 1) % 1_000_003);
        return { word, tag, seq, n: state.n.get(), digest: state.digest.get() };
      },
    });
    return [
      words
        .map(({ tag, seq }) => ({ tag, records: 1, sum: seq }))
        .to("counters", dynamoCounters({ table: "counters", key: ["tag"] })),
      words.to("raw", s3Files<Word>({ bucket: "lake", prefix: "raw" })),
      numbered
        .map((row) => (row.n % 4 === 0 ? deleted({ word: row.word }) : row))
        .to("items", dynamoTable({ table: "items", key: ["word"] })),
      numbered.to(
        "lake",
        s3Files<Numbered>({
          bucket: "lake",
          prefix: "numbered",
          format: jsonLines({ compression: "gzip" }),
          partitionBy: ({ tag }) => ({ tag }),
        }),
      ),
      numbered.to("stream", kinesisStream<Numbered>({ stream: "numbered", partitionKey: ({ word }) => word })),
      numbered
        .map(({ tag: _, ...row }) => (row.n % 3 === 0 ? deleted({ word: row.word }) : row))
        .to("totals", postgres({ database: "shop", table: "totals", mode: "upsert", key: ["word"] })),
      numbered.to("ledger", postgres({ database: "shop", table: "ledger", mode: "append" })),
      numbered.to("lines", fileSink<Numbered>({ folder: "out" })),
    ];
  },
);
`;

export const configText = `export default { bindings: { databases: { shop: "env:SHOP_URL" } } };`;

/** No constraint keeps a row from coming twice; `at` says in which order they came. */
export async function createTables(server: TestServer): Promise<void> {
  const numbered = "word text, seq integer, n integer, digest integer";
  await server.query(`create table totals (${numbered}, primary key (word))`);
  await server.query(`create table ledger (${numbered}, tag text, at bigserial)`);
}
