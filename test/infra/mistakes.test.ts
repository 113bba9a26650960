// What can be known when an app is synthesized is refused then, with a message that says what to do.
import { Duration } from "aws-cdk-lib";
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import { TidemarkEnvironment, TidemarkPipeline } from "tidemark/cdk";
import { describe, expect, it } from "vitest";
import { bundleFunction } from "../../cdk/bundle.js";
import {
  addExample,
  exampleFile,
  filesFile,
  newStack,
  ordersFile,
  referredStream,
  referredTable,
  repository,
  tryPipeline,
} from "./synthesis.js";

const timeout = 60_000;
const invalid = (message: string) =>
  expect.objectContaining({ kind: "invalid", message: expect.stringContaining(message) });

/** The key that the example's table must have is `airport: string`. */
const table = (stack: ReturnType<typeof newStack>, key: string, type = dynamodb.AttributeType.STRING) =>
  new dynamodb.Table(stack, "Airports", { partitionKey: { name: key, type } });

describe("a file that is no pipeline", { timeout }, () => {
  it.each([
    ["is not there", "test/infra/pipelines/gone.ts", "there is no file"],
    ["exports none", "test/infra/synthesis.ts", "exports no pipeline"],
    ["does not compile", "README.md", "does not compile"],
  ])("%s", (_, entry, message) => {
    expect(tryPipeline(() => ({ entry: `${repository}${entry}` }))).toThrow(invalid(message));
  });
});

describe("logical names", { timeout }, () => {
  it("that are bound to nothing are listed, with what to write", () => {
    const tried = tryPipeline((stack) => ({
      entry: exampleFile,
      streams: { flight: referredStream(stack, "flight") },
    }));
    expect(tried).toThrow(invalid('streams.flights (source "flights")\n  tables.airports (sink "airports")'));
    expect(tried).toThrow(invalid('tables: { "airports": Table.fromTableName(this, "Table", "airports") }'));
    expect(tried).toThrow(invalid("of no use to this pipeline: streams.flight."));
  });

  it("of dead letters are names, too", () => {
    const tried = tryPipeline((stack) => ({
      entry: ordersFile,
      streams: { orders: referredStream(stack, "orders") },
      tables: { customers: referredTable(stack, "customers") },
      grants: { "acme-queue": () => {} },
    }));
    expect(tried).toThrow(invalid("tables.dead-letters"));
    expect(tried).not.toThrow(invalid("tables.customers"));
  });
});

describe("sources and sinks", { timeout }, () => {
  it("files are refused: a function keeps none", () => {
    expect(tryPipeline(() => ({ entry: filesFile }))).toThrow(invalid('source "lines": is a file'));
  });

  it("a sink of a kind that nobody knows is refused, until its permissions are given", () => {
    const tried = tryPipeline((stack) => ({ entry: ordersFile, streams: { orders: referredStream(stack, "orders") } }));
    expect(tried).toThrow(invalid('sinks of the kind "acme-queue"'));
  });

  it("a database must be bound, and to no URL with a password", () => {
    const shop = `${repository}test/infra/pipelines/shop.ts`;
    const tried = (databases: Readonly<Record<string, string>>) =>
      tryPipeline((stack) => ({
        entry: shop,
        streams: { orders: referredStream(stack, "orders") },
        databases,
      }));
    expect(tried({})).toThrow(invalid('sink "orders": databases.shop is bound to nothing'));
    expect(tried({ shop: "postgres://ann:secret@db/shop" })).toThrow(invalid("a URL with a password"));
    expect(tried({ shop: "postgres://ann:secret@db/shop" })).not.toThrow(invalid("secret"));
    expect(tried({ shop: "env:SHOP_URL" })).not.toThrow();
  });

  it("a stream of another region is refused", () => {
    const tried = tryPipeline((stack) => ({
      entry: exampleFile,
      streams: { flights: referredStream(stack, "flights", "us-west-2") },
      tables: { airports: referredTable(stack, "airports") },
    }));
    expect(tried).toThrow(invalid('source "flights": its stream is in us-west-2, and the stack is in eu-central-1'));
  });

  it.each([
    ["by another name", "code", dynamodb.AttributeType.STRING, "(code: string), and needs (airport: string)"],
    ["of another type", "airport", dynamodb.AttributeType.NUMBER, "(airport: number), and needs (airport: string)"],
  ])("a table of this app with a key %s is refused", (_, key, type, message) => {
    const tried = tryPipeline((stack) => ({
      entry: exampleFile,
      streams: { flights: referredStream(stack, "flights") },
      tables: { airports: table(stack, key, type) },
    }));
    expect(tried).toThrow(invalid(message));
  });
});

describe("sizes", { timeout }, () => {
  const complete = (more: Partial<ConstructorParameters<typeof TidemarkPipeline>[2]>) =>
    tryPipeline((stack) => ({
      entry: exampleFile,
      streams: { flights: referredStream(stack, "flights") },
      tables: { airports: table(stack, "airport") },
      ...more,
    }));

  it("less concurrency than tasks is refused: some would never run", () => {
    expect(complete({ reservedConcurrency: 7 })).toThrow(
      invalid("has 8 tasks (sources 4, punctuality 4), and reservedConcurrency is 7; reserve 20"),
    );
  });

  it.each([
    ["N1 a life that is all handing over", Duration.seconds(16)],
    ["a life that is longer than Lambda's", Duration.minutes(16)],
  ])("%s is refused", (_, taskTimeout) => {
    expect(complete({ taskTimeout })).toThrow(
      invalid("more than twice session.reserve (8000 ms), and at most 15 minutes"),
    );
  });

  it("variables that would hide those of the construct are refused", () => {
    expect(complete({ environmentVariables: { TIDEMARK_TABLE: "mine" } })).toThrow(
      invalid("environmentVariables.TIDEMARK_TABLE"),
    );
  });

  it.each([
    [["-v2"], '"-v2" is no suffix for a redirect'],
    [["v2", "a/b"], '"a/b" is no suffix for a redirect'],
    [["v2", "v3", "v2"], 'redirectSuffixes has "v2" twice'],
  ])("W2 suffixes of redirects %j are refused", (redirectSuffixes, message) => {
    expect(complete({ redirectSuffixes })).toThrow(invalid(message));
  });

  it("a bundle larger than a function may be is refused", () => {
    const options = { entry: exampleFile, role: "task", name: "too-large", external: [] } as const;
    expect(() => bundleFunction({ ...options, bytesMax: 10_000 })).toThrow(invalid("a function at most 10000"));
  });
});

describe("an environment", { timeout }, () => {
  it("has no two pipelines of one name", () => {
    const stack = newStack();
    const environment = new TidemarkEnvironment(stack, "Environment");
    const streams = { flights: referredStream(stack, "flights") };
    const tables = { airports: referredTable(stack, "airports") };
    environment.claim("flight-delays", stack);
    expect(() => new TidemarkPipeline(stack, "Second", { entry: exampleFile, environment, streams, tables })).toThrow(
      invalid('Test/Second: the environment Test/Environment has a pipeline "flight-delays" already, Test;'),
    );
  });

  it("takes no table with another key", () => {
    const stack = newStack();
    expect(() => new TidemarkEnvironment(stack, "Environment", { table: table(stack, "pk") })).toThrow(
      invalid("has the key (pk: string), and needs (pk: string, sk: string)"),
    );
  });
});

describe("what is right", { timeout }, () => {
  it("is not refused: the same example, bound", () => {
    expect(() => addExample(newStack())).not.toThrow();
  });
});
