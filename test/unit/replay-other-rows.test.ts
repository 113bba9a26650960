// W1, W2: whose rows the tables of a redirect have, before anything is fenced.
import { dynamoCounters, dynamoTable, pipeline } from "tidemark";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openTarget } from "../../lib/cli/environment.js";
import { checkApart, checkRows } from "../../lib/cli/replay/other-rows.js";
import { checkpointId, coordinatorTask, generation } from "../../lib/model/ids.js";
import { encodeVersion, versionAttribute } from "../../lib/model/versions.js";
import type { SinkModes } from "../../lib/pipeline/sink-modes.js";
import { type Cloud, openCloud } from "../conformance/aws-cloud.js";
import { countSales, salesOptions } from "./sales.js";

let cloud: Cloud;
beforeAll(async () => {
  cloud = await openCloud();
});
afterAll(() => cloud.close());

const own = "0a0b0c0d0e0f";
const other = "010203040506";

const versionOf = (incarnation: string) => ({
  [versionAttribute]: encodeVersion({
    incarnation,
    generation: generation(1),
    epoch: checkpointId(1),
    task: coordinatorTask,
    seq: 1,
  }),
});

/** A table that bears the suffix, with these items, of a sink of each kind. */
async function redirectedTo(...items: readonly Readonly<Record<string, unknown>>[]) {
  const name = await cloud.createTable([{ name: "shop", type: "string" }]);
  const [table = "", suffix = ""] = name.split(/-(?=\d+$)/);
  for (const [place, item] of items.entries()) await cloud.plant(name, { shop: `s${place}`, ...item });
  const target = openTarget({ pipeline: "p", endpoint: cloud.endpoint, aws: false }, {});
  const modes = { shops: { kind: "redirect", suffix } } as const;
  const of = (sink: Parameters<ReturnType<typeof countSales>["to"]>[1]) => {
    const { plan } = pipeline("p", salesOptions, (flow) => countSales(flow).to("shops", sink));
    return (incarnation: string | null, asked: SinkModes = modes) => checkRows(target, plan, asked, incarnation);
  };
  return {
    rows: of(dynamoTable({ table, key: ["shop"] })),
    counters: of(dynamoCounters({ table, key: ["shop"] })),
  };
}

it("W1 rows of another pipeline, or of a fork that was there before, are refused; one's own are not", async () => {
  const foreign = /sink "shops": table "table-\d+"\ngive the redirect another suffix, or make the table anew/;
  const left = await redirectedTo(versionOf(own), versionOf(other));
  await expect(left.rows(own)).rejects.toThrow(foreign);
  await expect(left.rows(null)).rejects.toThrow(foreign);
  const ours = await redirectedTo(versionOf(own), { note: "of nobody" });
  await expect(ours.rows(own)).resolves.toEqual([]);
  await expect(ours.rows(null)).rejects.toThrow(foreign);
});

it("W2 counters that are there are told; an empty table, and one that is not there, are as they should be", async () => {
  expect(await (await redirectedTo({ sales: 3 })).counters(null)).toEqual([
    expect.stringMatching(/^sink "shops": the table "table-\d+" has counters already, which go on from there$/),
  ]);
  const empty = await redirectedTo();
  expect(await empty.counters(null)).toEqual([]);
  expect(await empty.rows(null)).toEqual([]);
  expect(await empty.rows(null, { shops: { kind: "redirect", suffix: "none" } })).toEqual([]);
});

it("W2 a fork is not redirected to where the pipeline itself is", () => {
  const v2 = { shops: { kind: "redirect", suffix: "v2" } } as const;
  expect(() => checkApart("p", v2, v2)).toThrow(/"shops" of pipeline "p" is redirected by the suffix "v2" itself/);
  expect(() => checkApart("p", v2, { shops: { kind: "redirect", suffix: "v3" } })).not.toThrow();
  expect(() => checkApart("p", { shops: { kind: "normal" } }, v2)).not.toThrow();
  expect(() => checkApart("p", v2, { shops: { kind: "dry-run" } })).not.toThrow();
});
