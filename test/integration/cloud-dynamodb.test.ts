import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  CreateTableCommand,
  DescribeTableCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  TransactGetItemsCommand,
  type TransactWriteItem,
  TransactWriteItemsCommand,
  UpdateItemCommand,
  UpdateTimeToLiveCommand,
} from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EmbeddedCloud, startCloud } from "../../lib/local/cloud/server.js";
import { dynamoAt, failure, type Http } from "./cloud-clients.js";

let cloud: EmbeddedCloud;
beforeAll(async () => {
  cloud = await startCloud({ port: 0, data: null });
});
afterAll(() => cloud.close());

let tables = 0;
async function newTable(dynamo: DynamoDBClient): Promise<string> {
  tables += 1;
  const TableName = `table-${tables}`;
  await dynamo.send(
    new CreateTableCommand({
      TableName,
      BillingMode: "PAY_PER_REQUEST",
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
      AttributeDefinitions: [
        { AttributeName: "id", AttributeType: "S" },
        { AttributeName: "owner", AttributeType: "S" },
      ],
      GlobalSecondaryIndexes: [
        {
          IndexName: "by-owner",
          KeySchema: [{ AttributeName: "owner", KeyType: "HASH" }],
          Projection: { ProjectionType: "ALL" },
        },
      ],
    }),
  );
  return TableName;
}

describe.each<Http>(["HTTP/1.1", "HTTP/2"])("embedded DynamoDB over %s", (http) => {
  let dynamo: DynamoDBClient;
  beforeAll(() => {
    dynamo = dynamoAt(cloud.endpoint, http);
  });
  afterAll(() => dynamo.destroy());

  const put = (TableName: string, id: string, value: number, more = {}) =>
    dynamo.send(new PutItemCommand({ TableName, Item: { id: { S: id }, n: { N: String(value) } }, ...more }));
  const number = async (TableName: string, id: string) => {
    const { Item } = await dynamo.send(new GetItemCommand({ TableName, Key: { id: { S: id } }, ConsistentRead: true }));
    return Item === undefined ? undefined : Number(Item.n?.N);
  };
  const add = (TableName: string, id: string, amount: number, condition?: string): TransactWriteItem => ({
    Update: {
      TableName,
      Key: { id: { S: id } },
      UpdateExpression: "SET n = n + :amount",
      ExpressionAttributeValues: { ":amount": { N: String(amount) }, ...(condition ? { ":least": { N: "0" } } : {}) },
      ...(condition ? { ConditionExpression: condition, ReturnValuesOnConditionCheckFailure: "ALL_OLD" as const } : {}),
    },
  });
  const transact = (TransactItems: TransactWriteItem[], ClientRequestToken?: string) =>
    dynamo.send(
      new TransactWriteItemsCommand({ TransactItems, ...(ClientRequestToken ? { ClientRequestToken } : {}) }),
    );

  it("lets one of many conditional writers win, and shows the losers what is there", async () => {
    const table = await newTable(dynamo);
    const racers = Array.from({ length: 30 }, (_, racer) =>
      put(table, "a", racer, {
        ConditionExpression: "attribute_not_exists(id)",
        ReturnValuesOnConditionCheckFailure: "ALL_OLD",
      }).then(
        () => ({ kind: "won" as const, racer }),
        (error: { name: string; Item?: { n?: { N?: string } } }) => ({ kind: error.name, sees: error.Item?.n?.N }),
      ),
    );
    const outcomes = await Promise.all(racers);
    const winners = outcomes.flatMap((outcome) => ("racer" in outcome ? [outcome.racer] : []));
    expect(winners).toHaveLength(1);
    const losers = outcomes.flatMap((outcome) => ("sees" in outcome ? [outcome] : []));
    expect(new Set(losers.map(({ kind }) => kind))).toEqual(new Set(["ConditionalCheckFailedException"]));
    expect(new Set(losers.map(({ sees }) => Number(sees)))).toEqual(new Set(winners));
    expect(await number(table, "a")).toBe(winners[0]);
  });

  it("loses no update of many at once", async () => {
    const table = await newTable(dynamo);
    await put(table, "a", 0);
    const increment = new UpdateItemCommand({
      TableName: table,
      Key: { id: { S: "a" } },
      UpdateExpression: "ADD n :one",
      ExpressionAttributeValues: { ":one": { N: "1" } },
    });
    await Promise.all(Array.from({ length: 60 }, () => dynamo.send(increment)));
    expect(await number(table, "a")).toBe(60);
  });

  it("keeps the sum under a hundred transfers at once", async () => {
    const table = await newTable(dynamo);
    const accounts = ["a", "b", "c", "d", "e"];
    await Promise.all(accounts.map((account) => put(table, account, 20)));
    const transfers = Array.from({ length: 100 }, (_, index) => {
      const from = String(accounts[index % accounts.length]);
      const to = String(accounts[(index * 3 + 1 + (index % accounts.length === 2 ? 1 : 0)) % accounts.length]);
      return from === to ? undefined : transact([add(table, from, -5, "n > :least"), add(table, to, 5)]);
    });
    const readers = Array.from({ length: 20 }, () => sum(table, accounts));
    const outcomes = await Promise.allSettled(transfers.filter((transfer) => transfer !== undefined));
    expect(outcomes.some(({ status }) => status === "fulfilled")).toBe(true);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason.name).toBe("TransactionCanceledException");
    }
    expect(new Set(await Promise.all(readers))).toEqual(new Set([100]));
    expect(await sum(table, accounts)).toBe(100);
  });

  async function sum(TableName: string, ids: readonly string[]): Promise<number> {
    const TransactItems = ids.map((id) => ({ Get: { TableName, Key: { id: { S: id } } } }));
    const { Responses = [] } = await dynamo.send(new TransactGetItemsCommand({ TransactItems }));
    return Responses.reduce((total, { Item }) => total + Number(Item?.n?.N), 0);
  }

  it("writes all of a transaction or nothing, and says why not", async () => {
    const table = await newTable(dynamo);
    await put(table, "a", 1);
    await put(table, "b", 2);
    const cancelled = await failure(
      transact([
        { Put: { TableName: table, Item: { id: { S: "new" }, n: { N: "1" } } } },
        add(table, "a", 5, "n < :least"),
        { ConditionCheck: { TableName: table, Key: { id: { S: "z" } }, ConditionExpression: "attribute_exists(id)" } },
      ]),
    );
    expect(cancelled).toMatchObject({
      name: "TransactionCanceledException",
      CancellationReasons: [
        { Code: "None" },
        { Code: "ConditionalCheckFailed", Item: { id: { S: "a" }, n: { N: "1" } } },
        { Code: "ConditionalCheckFailed" },
      ],
    });
    expect(await number(table, "new")).toBeUndefined();
    expect(await number(table, "a")).toBe(1);
    await transact([
      { Put: { TableName: table, Item: { id: { S: "new" }, n: { N: "7" }, owner: { S: "me" } } } },
      { Delete: { TableName: table, Key: { id: { S: "a" } }, ConditionExpression: "attribute_exists(id)" } },
      {
        ConditionCheck: { TableName: table, Key: { id: { S: "z" } }, ConditionExpression: "attribute_not_exists(id)" },
      },
      { ConditionCheck: { TableName: table, Key: { id: { S: "b" } }, ConditionExpression: "attribute_exists(id)" } },
    ]);
    expect(await number(table, "b")).toBe(2);
    expect(await number(table, "a")).toBeUndefined();
    expect(await number(table, "z")).toBeUndefined();
    const mine = new QueryCommand({
      TableName: table,
      IndexName: "by-owner",
      KeyConditionExpression: "#o = :me",
      ExpressionAttributeNames: { "#o": "owner" },
      ExpressionAttributeValues: { ":me": { S: "me" } },
    });
    expect((await dynamo.send(mine)).Items?.map(({ n }) => n?.N)).toEqual(["7"]);
  });

  it("does a transaction once per token", async () => {
    const table = await newTable(dynamo);
    await put(table, "a", 0);
    const token = `token-${http.length}`;
    await Promise.all([1, 2, 3].map(() => transact([add(table, "a", 1)], token)));
    expect(await number(table, "a")).toBe(1);
    expect((await failure(transact([add(table, "a", 2)], token))).name).toBe("IdempotentParameterMismatchException");
    expect(await number(table, "a")).toBe(1);
  });

  it("refuses transactions that the service refuses", async () => {
    const table = await newTable(dynamo);
    await put(table, "a", 0);
    expect((await failure(transact([add(table, "a", 1), add(table, "a", 1)]))).name).toBe("ValidationException");
    const many = Array.from({ length: 101 }, (_, index) => add(table, `k${index}`, 1));
    expect((await failure(transact(many))).name).toBe("ValidationException");
    expect((await failure(transact([add("no-such-table", "a", 1)]))).name).toBe("ResourceNotFoundException");
    const unkeyed = { Put: { TableName: table, Item: { n: { N: "1" } } } };
    expect((await failure(transact([unkeyed]))).name).toBe("ValidationException");
    expect(await number(table, "a")).toBe(0);
  });

  it("refuses items over 400 KB, put, updated, or in a transaction", async () => {
    const table = await newTable(dynamo);
    const big = { id: { S: "a" }, text: { S: "x".repeat(400 * 1024) } };
    expect((await failure(dynamo.send(new PutItemCommand({ TableName: table, Item: big })))).name).toBe(
      "ValidationException",
    );
    const update = new UpdateItemCommand({
      TableName: table,
      Key: { id: { S: "a" } },
      UpdateExpression: "SET t = :t",
      ExpressionAttributeValues: { ":t": big.text },
    });
    expect((await failure(dynamo.send(update))).name).toBe("ValidationException");
    expect((await failure(transact([{ Put: { TableName: table, Item: big } }]))).name).toBe("ValidationException");
  });

  it("keeps the limits of batches, and reads more than 1 MB in one", async () => {
    const table = await newTable(dynamo);
    const requests = (count: number) =>
      Array.from({ length: count }, (_, index) => ({
        PutRequest: { Item: { id: { S: `k${index}` }, n: { N: `${index}` }, text: { S: "x".repeat(100_000) } } },
      }));
    const write = (count: number) =>
      dynamo.send(new BatchWriteItemCommand({ RequestItems: { [table]: requests(count) } }));
    const readAll = (count: number) =>
      dynamo.send(
        new BatchGetItemCommand({
          RequestItems: {
            [table]: { Keys: Array.from({ length: count }, (_, index) => ({ id: { S: `k${index}` } })) },
          },
        }),
      );
    expect((await failure(write(26))).name).toBe("ValidationException");
    expect((await failure(readAll(101))).name).toBe("ValidationException");
    await write(25);
    const { Responses, UnprocessedKeys } = await readAll(25);
    expect(Responses?.[table]).toHaveLength(25);
    expect(UnprocessedKeys).toEqual({});
  });

  it("takes a table's ARN for its name", async () => {
    const table = await newTable(dynamo);
    const { Table } = await dynamo.send(new DescribeTableCommand({ TableName: table }));
    expect(Table).toMatchObject({
      TableStatus: "ACTIVE",
      TableArn: `arn:aws:dynamodb:us-east-1:000000000000:table/${table}`,
    });
    const arn = String(Table?.TableArn);
    await put(arn, "a", 1);
    await transact([add(arn, "a", 1)]);
    expect(await number(arn, "a")).toBe(2);
    const Keys = [{ id: { S: "a" } }];
    const got = await dynamo.send(new BatchGetItemCommand({ RequestItems: { [arn]: { Keys } } }));
    expect(Object.values(got.Responses ?? {}).flat()).toHaveLength(1);
  });

  it("says which operations it does not have", async () => {
    const specification = { AttributeName: "ttl", Enabled: true };
    const call = dynamo.send(new UpdateTimeToLiveCommand({ TableName: "any", TimeToLiveSpecification: specification }));
    expect(await failure(call)).toMatchObject({
      name: "UnknownOperationException",
      message: expect.stringContaining("embedded cloud"),
    });
  });
});
