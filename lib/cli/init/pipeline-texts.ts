// The files that a new project begins with, as they are written.

export const pipelineText = (
  name: string,
): string => `import { dynamoTable, json, kinesisSource, pipeline, value } from "tidemark";

/** A record of the stream. */
export interface Visit {
  readonly page: string;
}

// A checkpoint every ten seconds: rows are in the table once the checkpoint that covers them is complete. After fifteen minutes
// without records nothing runs any more, and nothing is paid for, until one comes.
const options = { checkpoint: { interval: "10s" }, idle: { suspendAfter: "15m" } } as const;

export default pipeline("${name}", options, (flow) =>
  flow
    // "visits" and "pages" are logical names: what they are called in an environment is bound there.
    .from("visits", kinesisSource({ stream: "visits", codec: json<Visit>(), start: "trim-horizon" }))
    // Records of one key come one after the other, and have one state.
    .keyBy((visit) => visit.page)
    .process("count", {
      // What must be there after a crash belongs here, never into a variable.
      state: { visits: value(0) },
      onRecord(_visit, { key, state }) {
        state.visits.update((visits) => visits + 1);
        return { page: key, visits: state.visits.get() };
      },
    })
    // One item for each page, which always is the newest row.
    .to("pages", dynamoTable({ table: "pages", key: ["page"] })),
);
`;

export const testText = `import { runPipeline } from "tidemark/testing";
import { expect, it } from "vitest";
import visits from "./pipeline.js";

const input = { visits: [{ page: "/" }, { page: "/about" }, { page: "/" }] };
const expected = [
  { page: "/", visits: 2 },
  { page: "/about", visits: 1 },
];

it("counts the visits of each page", async () => {
  const { sinks } = await runPipeline(visits, input);
  expect(sinks.pages).toEqual(expected);
});

it("counts the same when its sessions are killed", async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const { sinks, crashes } = await runPipeline(visits, input, { crashes: 2, seed });
    expect(sinks.pages).toEqual(expected);
    expect(crashes).toBe(2);
  }
});
`;

export const configText = `// What the commands work on. On this machine nothing of it is needed: what is missing is made.
export default {
  // Of a deployed pipeline, where the variables TIDEMARK_TABLE and TIDEMARK_BUCKET do not say it:
  // table: "the DynamoDB table of checkpoints",
  // bucket: "the S3 bucket of checkpoints",
  // region: "eu-central-1",
  bindings: {
    // Physical names by logical ones. A name that is not bound is its own.
    streams: {},
    tables: {},
  },
};
`;

const clientSettings = `{
  endpoint: process.env.AWS_ENDPOINT_URL ?? "http://127.0.0.1:4566",
  region: "us-east-1",
  credentials: { accessKeyId: "any", secretAccessKey: "any" },
}`;

export const putText = `// Puts a visit for each argument into the stream of the embedded cloud: npm run put -- / /about
import { KinesisClient, PutRecordsCommand } from "@aws-sdk/client-kinesis";

const kinesis = new KinesisClient(${clientSettings});
const pages = process.argv.length > 2 ? process.argv.slice(2) : ["/", "/about", "/"];
const Records = pages.map((page) => ({ PartitionKey: page, Data: Buffer.from(JSON.stringify({ page })) }));
const { FailedRecordCount } = await kinesis.send(new PutRecordsCommand({ StreamName: "visits", Records }));
console.log(\`put \${pages.length - (FailedRecordCount ?? 0)} visits\`);
kinesis.destroy();
`;

export const showText = `// Shows what the pipeline has written into its table in the embedded cloud: npm run show
import { DynamoDBClient, ScanCommand } from "@aws-sdk/client-dynamodb";

const dynamo = new DynamoDBClient(${clientSettings});
const { Items = [] } = await dynamo.send(new ScanCommand({ TableName: "pages", ConsistentRead: true }));
for (const { page, visits } of Items) console.log(\`\${page?.S}: \${visits?.N}\`);
dynamo.destroy();
`;
