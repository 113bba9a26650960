// What `tidemark replay` decides before it asks for anything.
import { dynamoTable, fileSink, pipeline } from "tidemark";
import { describe, expect, it } from "vitest";
import { findCheckpoint, listCheckpoints, readRestorable } from "../../lib/checkpoint/history.js";
import { readDesired, readGenerationRecord, readManifest, writeManifest } from "../../lib/checkpoint/store.js";
import { wishStarted } from "../../lib/checkpoint/wishes.js";
import { explain } from "../../lib/cli/explain-report.js";
import { priceOf } from "../../lib/cli/prices.js";
import { askedModes, choicesText } from "../../lib/cli/replay/asked-modes.js";
import { checkNormal } from "../../lib/cli/replay/back-to-normal.js";
import { codeOfDeployment } from "../../lib/cli/replay/deployed-code.js";
import { estimateLines, highestRate, requestsFor } from "../../lib/cli/replay/estimate.js";
import { checkPossible } from "../../lib/cli/replay/possible.js";
import { modesOfStart } from "../../lib/cli/start-again.js";
import type { CheckpointRef } from "../../lib/model/checkpoints.js";
import type { Head } from "../../lib/model/head.js";
import { desired, version as old } from "./checkpoint-samples.js";
import { cloud } from "./runtime-world.js";
import { countSales, salesInto, salesOptions } from "./sales.js";

const counting = (step = 1, lines = false) =>
  pipeline("p", salesOptions, (flow) => {
    const counts = countSales(flow, step);
    const shops = counts.to("shops", dynamoTable({ table: "shops", key: ["shop"] }));
    return lines ? ([shops, counts.to("lines", fileSink({ folder: "/out" }))] as const) : shops;
  });

const minutes = (count: number) => count * 60_000;

function running(lines = false) {
  const world = cloud(counting(1, lines));
  world.tables.createTable("shops", [{ name: "shop", type: "string" }]);
  world.stream.createStream("flights", 1);
  const { sell } = salesInto(world);
  const context = () => ({
    store: world.store,
    log: world.deployment.world.log,
    plan: world.deployment.plan,
    library: "0.1.0",
    bindStream: (name: string) => name,
  });
  return { ...world, sell, context };
}

describe("--sinks", () => {
  const { plan } = counting(1, true);

  it.each([
    [["dry-run"], { shops: { kind: "dry-run" }, lines: { kind: "dry-run" } }, []],
    [["overwrite", "lines=dry-run"], { shops: { kind: "overwrite" }, lines: { kind: "dry-run" } }, []],
    [["lines=redirect:v2"], { lines: { kind: "redirect", suffix: "v2" } }, ["shops"]],
    [[], {}, ["shops", "lines"]],
  ] as const)("W2 %j", (given, modes, unsaid) => {
    expect(askedModes(plan, given)).toEqual({ modes, unsaid });
  });

  it.each([
    [["overwrite"], /sink "lines" \(file\) does not allow overwrite: what it has shown stays.*redirect, dry-run/],
    [["redirect"], /"redirect" is nothing that can become of output; write redirect:SUFFIX/],
    [["redirect:a/b"], /"a\/b" is no suffix for a redirect/],
    [["shop=dry-run"], /has no sink "shop"; it has: shops, lines/],
    [["dry-run", "overwrite"], /says two things of all sinks/],
    [["shops=dry-run", "shops=overwrite"], /says two things of "shops"/],
  ])("%j is refused", (given, why) => {
    expect(() => askedModes(plan, given)).toThrow(why);
  });

  it("are explained by what each sink allows, and why not", () => {
    const text = choicesText(plan, "42");
    expect(text).toMatch(/after checkpoint 42[\s\S]*redirect:SUFFIX[\s\S]*dry-run[\s\S]*overwrite/);
    expect(text).toMatch(/^ {2}shops {2}dynamo-table: redirect, dry-run, overwrite$/m);
    expect(text).toMatch(/^ {2}lines {2}file: redirect, dry-run$/m);
    expect(text).toMatch(/not overwrite: what it has shown stays/);
    expect(choicesText(plan, "42", ["redirect", "dry-run"])).not.toContain("overwrite");
  });
});

describe("before a replay begins", () => {
  it("the rate is the highest between two checkpoints; without two there is none", () => {
    const at = (seconds: number, records: number) => ({ at: seconds * 1_000, records });
    expect(highestRate([at(30, 900), at(10, 100), at(20, 600)])).toBe(0.05);
    expect(highestRate([at(10, 100)])).toBeNull();
    expect(highestRate([at(10, 100), at(20, 100)])).toBeNull();
  });

  it("what it sends is at most what so many records took before; less where sinks run dry", async () => {
    const world = running();
    await world.wish(desired());
    const first = await world.sell(3);
    for (let n = 0; n < 4; n += 1) await world.sell(30);
    const before = (await world.head()) as Head;
    const restorable = () => readRestorable((ref) => readManifest(world.store, before.incarnation, ref), before);
    const all = await restorable();
    const said = requestsFor(120, all, { isDry: false });
    expect(requestsFor(120, all.slice(0, 1), { isDry: false })).toBeNull();
    expect(requestsFor(60, all, { isDry: false })?.dollars).toBeCloseTo((said?.dollars ?? 0) / 2);
    const dry = requestsFor(120, all, { isDry: true });
    expect(dry?.requests).toBeLessThan(said?.requests ?? 0);
    expect(dry?.requests).toBeGreaterThan(0);

    await wishStarted(world.store, { id: "again", from: first, dropped: [], sinks: { shops: { kind: "overwrite" } } });
    await world.deployment.world.functions.callSupervisor({ pipeline: "p", report: null });
    const isDone = ({ generation, completed }: Head) => generation === 2 && completed?.generation === 2;
    const head = (await world.until(isDone, minutes(5))) as Head;
    const replayed = await readManifest(world.store, head.incarnation, head.completed as CheckpointRef);
    expect(replayed.tasks[0]?.figures.recordsIn).toBe(123);
    // Of a session that has had one checkpoint: what its ack counted is all that it sent.
    const requests = explain(head.completed as CheckpointRef, replayed, null).tasks[0]?.requests ?? {};
    const sent = Object.values(requests).reduce((sum: number, count: number) => sum + count, 0);
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThanOrEqual(said?.requests ?? 0);
    expect(priceOf(requests).dollars).toBeLessThanOrEqual(said?.dollars ?? 0);
  });

  it("its price is that of the one list, and says what is not in it", () => {
    const figures = {
      records: 1_000,
      keptMillis: 3_600_000,
      durationMillis: 60_000,
      requests: 10,
      dollars: 1.5,
      unpriced: ["streams.put"],
    };
    const lines = estimateLines({ ...figures, isLocal: false }).join("\n");
    expect(lines).toMatch(/about 1,000 that.*\nkept .*another 1.0 h\ntakes .*1 min.*\nrequests .*about 10: /);
    expect(lines).toMatch(/costs +at most about \$1\.50 \(those requests, without streams\.put, and functions of 1 GB/);
    expect(estimateLines({ ...figures, isLocal: true }).at(-1)).toMatch(
      /nothing on this machine; on AWS at most about/,
    );
    const unknown = {
      ...figures,
      requests: null,
      dollars: null,
      durationMillis: null,
      keptMillis: null,
      isLocal: false,
    };
    expect(estimateLines(unknown).join("\n")).toMatch(/do not say how long\n.*nobody can tell.*\n.*nobody can tell/);
  });

  it("P1 records past their retention are refused, and the oldest checkpoint that can be is named", async () => {
    const world = running();
    world.stream.setRetention("flights", minutes(12));
    await world.wish(desired());
    const first = await world.sell(3);
    await world.until(() => false, minutes(5));
    const second = await world.sell(3);
    await world.until(() => false, minutes(5));
    await world.sell(3);
    await world.until(() => false, minutes(4));
    world.stream.trim("flights", (world.clock.now() - minutes(12)) as never);
    const head = (await world.head()) as Head;
    const possible = (await listCheckpoints(world.store, head))
      .map(({ id }) => id)
      .filter((id) => id > first.checkpointId);
    const refused = checkPossible(world.context(), head, first, []);
    await expect(refused).rejects.toThrow(
      /past the retention of 0.2 h[\s\S]*Nothing was changed\. The oldest checkpoint/,
    );
    const named = Number(/still possible is (\d+)/.exec(String(await refused.catch(String)))?.[1]);
    expect(possible).toContain(named);
    expect(named).toBeLessThanOrEqual(second.checkpointId);
    await expect(checkPossible(world.context(), head, second, [])).resolves.toEqual(expect.any(Array));
  });

  it("P4 the code of a deployment that was before goes on, and the one that is deployed does not come back by itself", async () => {
    const world = running();
    const first = desired();
    await world.wish({ ...first, code: { ...first.code, deployment: 1 } });
    await world.sell(3);
    const fresh = world.release(counting(1_000));
    await world.until(({ generation, status }) => generation === 2 && status === "running", 300_000);
    await world.sell(3);
    const head = (await world.head()) as Head;
    expect(await codeOfDeployment(world.store, head, 2)).toBeUndefined();
    await expect(codeOfDeployment(world.store, head, 7)).rejects.toThrow(
      `known are: 1 (version ${old}), 2 (version ${fresh})`,
    );
    const code = await codeOfDeployment(world.store, head, 1);
    expect(code).toMatchObject({ functionVersion: old });
    const from = await findCheckpoint(world.store, head, 1);
    await wishStarted(world.store, {
      id: "back",
      from,
      dropped: [],
      sinks: { shops: { kind: "overwrite" } },
      ...(code === undefined ? {} : { code }),
    });
    await world.deployment.world.functions.callSupervisor({ pipeline: "p", report: null });
    const back = await world.until(({ generation, status }) => generation === 3 && status === "running", 300_000);
    expect(await readGenerationRecord(world.store, back as Head)).toMatchObject({
      reason: "replay",
      functionVersion: old,
      fallback: null,
    });
    await world.sell(3);
    await world.until(() => false, 600_000);
    expect(await world.head()).toMatchObject({ generation: 3, status: "running", failures: [] });
    expect(world.tables.items("shops").reduce((sum, { n }) => sum + Number(n), 0)).toBe(9);
    expect((await readDesired(world.store))?.value.code).toMatchObject({ functionVersion: old, deployment: 2 });
  });

  it("W2 a dry run ends at the checkpoint where it began, and files have no row twice", async () => {
    const world = running(true);
    await world.wish(desired());
    const older = await world.sell(3);
    const newer = await world.sell(3);
    const { plan } = counting(1, true);
    const normal = (from: CheckpointRef, head: Head) =>
      checkNormal({ store: world.store, plan, isAlone: true }, head, {
        from,
        modes: askedModes(plan, ["normal"]).modes,
      });
    const before = (await world.head()) as Head;
    await expect(normal(older, before)).rejects.toThrow(/normal output of "lines" was shown after checkpoint \d+/);
    const dry = { shops: { kind: "dry-run" }, lines: { kind: "dry-run" } } as const;
    await world.ask(desired({ request: { id: "dry", kind: "restore", from: newer, sinks: dry, dropped: [] } }), 1);
    await world.until(({ generation }) => generation === 2, 60_000);
    await world.sell(3);
    const after = (await world.head()) as Head;
    await expect(normal(newer, after)).resolves.toBeUndefined();
    await expect(normal(older, after)).rejects.toThrow(/would be there twice/);
    const { sinks } = { sinks: askedModes(plan, ["normal"]).modes };
    await world.ask(desired({ request: { id: "end", kind: "restore", from: newer, sinks, dropped: [] } }), 2);
    await world.until(({ generation, completed }) => generation === 3 && completed?.generation === 3, 60_000);
    await world.until(() => false, 2_000);
    expect(world.tables.items("shops").reduce((sum, { n }) => sum + Number(n), 0)).toBe(9);
    const files = world.disk.paths().filter((path) => path.startsWith("/out/") && !path.includes("/.staged/"));
    const texts = await Promise.all(files.map((path) => world.disk.files.read(path)));
    expect(
      texts.flatMap((bytes) =>
        Buffer.from(bytes ?? [])
          .toString()
          .trim()
          .split("\n"),
      ),
    ).toHaveLength(9);
    await expect(normal(newer, (await world.head()) as Head)).rejects.toThrow(/would be there twice/);
  });

  it("W2 start --from overwrites tables, and refers to replay where not all sinks are", async () => {
    const tables = running();
    await tables.wish(desired());
    const older = await tables.sell(3);
    const newer = await tables.sell(3);
    const head = (await tables.head()) as Head;
    const of = { store: tables.store, plan: counting().plan, isAlone: true };
    expect(await modesOfStart(of, head, older)).toEqual({ shops: { kind: "overwrite" } });
    expect(await modesOfStart(of, head, newer)).toEqual({});
    expect(await modesOfStart(of, head, null)).toEqual({});
    const withLines = { ...of, plan: counting(1, true).plan };
    // With other state, and nothing behind it.
    const last = await readManifest(tables.store, head.incarnation, newer);
    const { generation, checkpointId } = last;
    const { sha256 } = await writeManifest(tables.store, { ...last, savepoint: "edited" });
    expect(await modesOfStart(withLines, head, { generation, checkpointId, sha256 })).toEqual({});
    await expect(modesOfStart(withLines, head, older)).rejects.toThrow(
      /lines \(file\): what it has shown[\s\S]*tidemark replay/,
    );
  });
});
