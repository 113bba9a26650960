// What a user writes: an app that deploys a pipeline with its stream and its tables, and releases of the pipeline's file.

/** The app, as a module of JavaScript. Sessions live for about half a minute, so that they hand over while a test runs. */
export const appText = (stack: string): string => `
import { App, CfnOutput, Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import * as kinesis from "aws-cdk-lib/aws-kinesis";
import { TidemarkPipeline } from "tidemark/cdk";

const stack = new Stack(new App(), "${stack}");
const removalPolicy = RemovalPolicy.DESTROY;
const tableOf = (id, name) =>
  new dynamodb.Table(stack, id, {
    partitionKey: { name, type: dynamodb.AttributeType.STRING },
    billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
    removalPolicy,
  });
const words = new kinesis.Stream(stack, "WordsStream", { shardCount: 2, removalPolicy });
const byWord = tableOf("ByWord", "word");
const byTag = tableOf("ByTag", "tag");
new TidemarkPipeline(stack, "Pipeline", {
  entry: "pipeline.ts",
  streams: { words },
  tables: { words: byWord, tags: byTag },
  redirectSuffixes: ["replayed"],
  taskTimeout: Duration.seconds(35),
  removalPolicy,
});
for (const [id, value] of [["Stream", words.streamName], ["Words", byWord.tableName], ["Tags", byTag.tableName]])
  new CfnOutput(stack, id, { value });
`;

export const pipelineName = "words";

export interface Release {
  readonly name: string;
  /** Whether rows have a member "newest": the highest number since the release. */
  readonly newest: boolean;
  /** The name of what counts words, by which its state is found again. */
  readonly operator: string;
  /** At the beginning of each record. */
  readonly before?: string;
  /** A bug: of records with the tag "late" it counts every other one. */
  readonly loses?: boolean;
}

/**
 * Counts per word and, of all words, per tag. Rows per word also say which release has made them, and when it was: that is for measuring,
 * and no part of the result.
 */
export const pipelineText = ({ name, newest, operator, before = "", loses = false }: Release): string => `
import { dynamoTable, json, kinesisSource, pipeline, value } from "tidemark";

interface Word { readonly word: string; readonly seq: number; readonly tag: string }

const settings = {
  parallelism: 2,
  checkpoint: { interval: "1s", timeout: "6s", tolerableFailures: 100 },
  session: { reserve: "15s" },
  restart: { initialDelay: "100ms", maxDelay: "1s" },
} as const;

export default pipeline("${pipelineName}", settings, (flow) => {
  const words = flow.from("words", kinesisSource({ stream: "words", codec: json<Word>(), start: "trim-horizon" }));
  const counted = words.keyBy((record) => record.word).process("${operator}", {
    state: { n: value(0), digest: value(7)${newest ? ", newest: value(-1)" : ""} },
    onRecord({ seq }, { key, state }) {
      ${before}
      state.n.update((n) => n + 1);
      state.digest.update((digest) => (digest * 31 + seq + 1) % 1_000_003);
      ${newest ? "state.newest.update((newest) => Math.max(newest, seq));" : ""}
      return {
        word: key,
        n: state.n.get(),
        digest: state.digest.get(),
        ${newest ? "newest: state.newest.get()," : ""}
        release: "${name}",
        at: Date.now(),
      };
    },
  });
  const tagged = words.keyBy((record) => record.tag).process("tag", {
    state: { n: value(0), sum: value(0) },
    onRecord({ seq }, { key, state }) {
      ${loses ? 'if (key === "late" && seq % 2 === 1) return;' : ""}
      state.n.update((n) => n + 1);
      state.sum.update((sum) => sum + seq);
      return { tag: key, n: state.n.get(), sum: state.sum.get() };
    },
  });
  return [
    counted.to("words", dynamoTable({ table: "words", key: ["word"] })),
    tagged.to("tags", dynamoTable({ table: "tags", key: ["tag"] })),
  ];
});
`;
