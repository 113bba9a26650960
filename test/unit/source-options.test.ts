import { resolve } from "node:path";
import { dynamoTable, fileSource, json, kinesisSource, pipeline, text } from "tidemark";
import { describe, expect, it } from "vitest";
import { bindingsOf } from "../../lib/compose.js";
import { isBounded, isFile } from "../../lib/pipeline/source.js";

const message = (make: () => unknown): string => {
  try {
    make();
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
};

describe("fileSource", () => {
  it.each<readonly [string, unknown, string]>([
    ["without options", undefined, "fileSource(): must be an object with path, codec"],
    ["with an unknown option", { path: "a", codec: text, start: "latest" }, '"start" is not known'],
    ["without a path", { codec: text }, "fileSource(): path: must be the path of a file, not undefined"],
    ["with an empty path", { path: "", codec: text }, 'must be the path of a file, not ""'],
    ["with a path that no file can have", { path: "a\0b", codec: text }, "must be the path of a file"],
    ["without a codec", { path: "a" }, "fileSource(): codec: must be json(schema), text or bytes, not undefined"],
  ])("%s is refused", (_, options, expected) => {
    expect(message(() => fileSource(options as never))).toContain(expected);
  });

  it("is bounded, and a part of the graph by its logical path alone", () => {
    const source = fileSource({ path: "in/flights.jsonl", codec: json() });
    expect([isFile(source), isBounded(source), Object.isFrozen(source)]).toEqual([true, true, true]);
    expect(JSON.parse(JSON.stringify(source.config))).toEqual(source.config);
    const stream = kinesisSource({ stream: "in", codec: json() });
    expect([isFile(stream), isBounded(stream)]).toEqual([false, false]);
    expect(isBounded(kinesisSource({ stream: "in", codec: json(), end: { at: new Date(1) } }))).toBe(true);
  });

  it("its path is bound by bindings.files, and is its own where it is not", () => {
    const { stream, file } = bindingsOf({ files: { "a.jsonl": "/data/a.jsonl" }, streams: { "a.jsonl": "other" } });
    const bound = (path: string) => stream(fileSource({ path, codec: text }).config.stream);
    expect([bound("a.jsonl"), bound("b.jsonl")]).toEqual(["file:/data/a.jsonl", "file:b.jsonl"]);
    expect([file("a.jsonl"), file("b.jsonl"), stream("a.jsonl")]).toEqual([
      "/data/a.jsonl",
      resolve("b.jsonl"),
      "other",
    ]);
  });
});

describe("kinesisSource's aggregation", () => {
  it("is kpl where it is not given, and one of three words", () => {
    expect(kinesisSource({ stream: "s", codec: text }).config.aggregation).toBe("kpl");
    for (const aggregation of ["kpl", "unchecked", "none"] as const)
      expect(kinesisSource({ stream: "s", codec: text, aggregation }).config.aggregation).toBe(aggregation);
    const wrong = { stream: "s", codec: text, aggregation: true } as never;
    expect(message(() => kinesisSource(wrong))).toBe(
      'kinesisSource(): aggregation: must be "kpl", "unchecked" or "none"',
    );
  });

  it("is a part of the graph: a position within an aggregate means nothing with another", () => {
    const fingerprint = (aggregation: "kpl" | "none") =>
      pipeline("p", {}, (flow) =>
        flow
          .from("in", kinesisSource({ stream: "s", codec: text, aggregation }))
          .map((id) => ({ id }))
          .to("out", dynamoTable({ table: "t", key: ["id"] })),
      ).plan.fingerprint;
    expect(fingerprint("kpl")).not.toBe(fingerprint("none"));
  });
});
