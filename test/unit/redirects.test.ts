// W2: what a redirected target is called, for every kind of sink; and that what was prepared keeps its own.
import {
  dynamoCounters,
  dynamoTable,
  fileSink,
  idempotent,
  kinesisStream,
  type Sink,
  s3Files,
  twoPhase,
  writeAheadLog,
} from "tidemark";
import { afterAll, describe, expect, it } from "vitest";
import { observeCompletion } from "../../lib/checkpoint/permit.js";
import type { CommitPermit } from "../../lib/model/checkpoints.js";
import type { SinkResources } from "../../lib/pipeline/sink.js";
import { allowedModes, redirectedName, resourcesIn } from "../../lib/pipeline/sink-modes.js";
import { postgres } from "../../lib/postgres.js";
import { memoryResources } from "../../lib/testing/conformance/sink-resources.js";
import { segmentOf } from "../fixtures/postgres/segments.js";
import { startPostgres } from "../fixtures/postgres/server.js";
import { head, ref } from "./checkpoint-samples.js";

const server = await startPostgres();
afterAll(() => server.close());

const redirected = (suffix: string, given: Partial<SinkResources> = {}) =>
  resourcesIn({ kind: "redirect", suffix }, memoryResources({ ...given }));
const targetOf = (sink: Sink<never>, resources: SinkResources): string => sink.open(resources).target;
const described = (target?: { readonly kind: "table" | "file" | "stream" | "bucket"; readonly name: string }) =>
  ({
    kind: "own",
    ...(target === undefined ? {} : { target }),
    open: () => ({ apply: async () => undefined }),
  }) as const;

describe("W2 a redirected target", () => {
  it.each([
    ["table", "airports", "airports-v2"],
    ["stream", "alerts", "alerts-v2"],
    ["file", "/out/lines", "/out/lines-v2"],
    ["file", "/out/lines.csv", "/out/lines-v2.csv"],
    ["file", "/out.d/lines", "/out.d/lines-v2"],
    ["file", "/out/.hidden", "/out/.hidden-v2"],
    ["bucket", "lake", "lake"],
    ["database", "env:URL", "env:URL"],
  ] as const)("is called, of a %s %s, %s", (kind, name, expected) => {
    expect(redirectedName(kind, name, "v2")).toBe(expected);
  });

  it.each([
    [dynamoTable({ table: "airports", key: ["id"] }), "airports-v2", ["redirect", "dry-run", "overwrite"]],
    [dynamoCounters({ table: "totals", key: ["id"] }), "totals-v2", ["redirect", "dry-run"]],
    [kinesisStream({ stream: "alerts", partitionKey: () => "k" }), "alerts-v2", ["redirect", "dry-run"]],
    [fileSink({ folder: "/out" }), "/out-v2", ["redirect", "dry-run"]],
    [s3Files({ bucket: "lake", prefix: "flights/" }), "s3://lake/flights-v2/", ["redirect", "dry-run"]],
    [s3Files({ bucket: "lake" }), "s3://lake/_v2/", ["redirect", "dry-run"]],
    [
      idempotent({ ...described({ kind: "table", name: "t" }), key: () => "k" }),
      "t-v2",
      ["redirect", "dry-run", "overwrite"],
    ],
    [idempotent({ ...described(), key: () => "k" }), "own", ["dry-run", "overwrite"]],
    [writeAheadLog(described({ kind: "stream", name: "s" })), "s-v2", ["redirect", "dry-run"]],
    [writeAheadLog(described({ kind: "bucket", name: "b" })), "b", ["dry-run"]],
    [twoPhase(described() as never), "own", ["dry-run"]],
  ] as const)("is that of %o", (sink, target, modes) => {
    expect(targetOf(sink as Sink<never>, redirected("v2"))).toBe(target);
    expect(allowedModes(sink as Sink<never>)).toEqual(modes);
    expect(targetOf(sink as Sink<never>, memoryResources())).not.toContain("v2");
  });

  it("W2 C4 s3Files stage where readers of the others do not look, also in a folder of their own", async () => {
    const names: string[] = [];
    const objects = { ...memoryResources().objects, put: async (_: string, key: string) => void names.push(key) };
    for (const staging of [undefined, "staged/"]) {
      const sink = s3Files({ bucket: "lake", prefix: "flights/", ...(staging === undefined ? {} : { staging }) });
      const writer = sink.open(
        redirected("v2", {
          objects: {
            ...objects,
            size: async () => 0,
            rules: async () => ({ kind: "known", rules: [] }),
            remove: async () => undefined,
          } as never,
        }),
      );
      await writer.check();
    }
    expect(names.map((name) => name.replace(/staged\/0.*/, ""))).toEqual(["flights-v2/_tidemark/", "staged-v2/"]);
  });

  it("W2 C2 of postgres is a table beside, and a segment of before goes to the one that it was prepared for", async () => {
    await server.query("create table orders (id integer primary key)");
    await server.query("create table orders_v2 (id integer primary key)");
    const sink = postgres({ database: "shop", table: "orders", mode: "append" });
    expect(allowedModes(sink as Sink<never>)).toEqual(["redirect", "dry-run"]);
    const permit = observeCompletion(head({ completed: ref(9) })) as CommitPermit;
    const writer = sink.open(redirected("v2", { bind: () => server.url }));
    if (!("apply" in writer)) throw new Error("it is a log");
    await writer.check();
    expect(writer.target).toBe(`${server.url}#v2`);
    await writer.apply(server.url, segmentOf(1, [{ id: 1 }]) as never, permit);
    await writer.apply(writer.target, segmentOf(2, [{ id: 2 }]) as never, permit);
    await writer.close();
    expect(await server.query("select id from orders")).toEqual([{ id: 1 }]);
    expect(await server.query("select id from orders_v2")).toEqual([{ id: 2 }]);
  });

  it("W2 of postgres, where the table beside is absent, is made by the statement that the message has", async () => {
    await server.query("create schema sales");
    await server.query(`create table sales."Items" (id integer primary key, cents integer not null default 0)`);
    const sink = postgres({ database: "shop", table: "sales.Items", mode: "upsert", key: ["id"] });
    const writer = sink.open(redirected("v2", { bind: () => server.url }));
    const absent = await writer.check().catch(String);
    const statement = /such as: (create table .*)$/.exec(String(absent))?.[1];
    expect(statement).toBe('create table "sales"."Items_v2" (like "sales"."Items" including all)');
    await server.query(statement ?? "");
    await expect(writer.check()).resolves.toBeUndefined();
    await writer.close();
  });
});
