import { describe, expect, it } from "vitest";
import { awsWorld, bindingsOf, type Environment, environmentVariables, readEnvironment } from "../../lib/compose.js";
import { awsClients } from "../../lib/connectors/clients.js";
import { StreamError } from "../../lib/model/errors.js";
import { systemClock } from "../../lib/ports/clock.js";

const environment: Environment = {
  table: "acme-registers",
  bucket: "acme-checkpoints",
  functions: { task: "acme-task", supervisor: "acme-supervisor:live" },
  bindings: { streams: { flights: "acme-flights" }, tables: { airports: "acme-airports" } },
};
const variables = environmentVariables(environment);
const required = Object.keys(variables).filter((name) => name !== "TIDEMARK_BINDINGS");
const thrown = (change: Readonly<Record<string, string | undefined>>): StreamError => {
  try {
    readEnvironment({ ...variables, ...change });
  } catch (error) {
    if (error instanceof StreamError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

describe("the environment of functions", () => {
  it("is read as it was written", () => {
    expect(readEnvironment(variables)).toEqual(environment);
    expect(Object.values(variables).every((value) => typeof value === "string")).toBe(true);
    expect(required).toHaveLength(4);
  });

  it.each(required)("without %s it is refused, by name", (name) => {
    for (const value of [undefined, ""]) {
      const error = thrown({ [name]: value });
      expect(error.kind).toBe("invalid");
      expect(error.message).toContain(`the environment variable ${name} is not set`);
    }
  });

  it("bindings may be missing: every name is its own", () => {
    expect(readEnvironment({ ...variables, TIDEMARK_BINDINGS: undefined }).bindings).toEqual({});
  });

  it.each(["", "{", "acme"])("bindings that are no JSON are refused: %j", (text) => {
    expect(thrown({ TIDEMARK_BINDINGS: text }).message).toMatch(/TIDEMARK_BINDINGS is not JSON: \{"streams"/);
  });

  it.each([
    "null",
    "[]",
    '"acme"',
    "5",
    '{"streams":null}',
    '{"streams":["a"]}',
    '{"streams":"a"}',
    '{"tables":{"a":5}}',
    '{"tables":{"a":""}}',
  ])("bindings that are no names by names are refused: %s", (text) => {
    expect(thrown({ TIDEMARK_BINDINGS: text })).toMatchObject({
      kind: "invalid",
      message: expect.stringContaining('TIDEMARK_BINDINGS must be names by names, such as {"streams"'),
    });
  });
});

describe("bindings", () => {
  it("give the physical name; a name that is not bound is its own", () => {
    const { stream, table } = bindingsOf(environment.bindings);
    expect([stream("flights"), stream("airports"), stream("weather")]).toEqual(["acme-flights", "airports", "weather"]);
    expect([table("airports"), table("flights")]).toEqual(["acme-airports", "flights"]);
    const none = bindingsOf({});
    expect([none.stream("flights"), none.table("airports")]).toEqual(["flights", "airports"]);
  });

  it("names such as constructor and __proto__ are names like others", () => {
    const { stream } = bindingsOf({ streams: JSON.parse('{"__proto__":"acme-proto"}') as Record<string, string> });
    expect(["constructor", "toString", "__proto__"].map(stream)).toEqual(["constructor", "toString", "acme-proto"]);
  });
});

it("a world is made without a call: adapters of the clients that are given, and this machine's clock", () => {
  const clients = awsClients({
    endpoint: "http://127.0.0.1:1",
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });
  const world = awsWorld(environment, clients);
  expect(Object.keys(world).toSorted()).toEqual([
    "blobs",
    "clock",
    "files",
    "functions",
    "log",
    "objects",
    "registers",
    "streams",
    "tables",
  ]);
  expect(world.clock).toBe(systemClock);
  clients.destroy();
});
