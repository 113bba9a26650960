// Processes of a generation that a replay has abandoned: they stand still, in the midst of a checkpoint, until the new generation runs,
// and then go on as if nothing had happened; and what they had asked for last arrives. None of it shows.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it, vi } from "vitest";
import { endAll, type Running } from "../fixtures/cli/command.js";
import { countingCode, openScene, type Rows, rowsOfWords, type Scene } from "./kills/scene.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 1_200_000, hookTimeout: 120_000 });
afterAll(() => endAll());

const waiting = { timeout: 120_000, interval: 250 };
const words = ["a", "b", "c", "a", "b", "a"];

/** Into a table, and into lines of a folder. */
const withLines = (name: string): string =>
  countingCode(name, { by: "one" })
    .replace("import { dynamoTable,", "import { dynamoTable, fileSink,")
    .replace("(flow) => flow", "(flow) => { const counts = flow")
    .replace(
      /\.to\("totals", (.*)\),\n\);/,
      '; return [counts.to("totals", $1), counts.to("lines", fileSink({ folder: "out/lines" }))]; },\n);',
    );

/** Sessions that run, by the request that began them. */
function sessionsOf(running: Running): ReadonlyMap<string, number> {
  const pids = new Map<string, number>();
  for (const event of running.events()) {
    if (event.event !== "session") continue;
    if (event.state === "started" && event.pid !== null) pids.set(event.requestId, event.pid);
    else pids.delete(event.requestId);
  }
  return pids;
}

/** What is shown in the folders of the lines, without what is staged. */
function linesOf({ project }: Scene): readonly string[] {
  const out = join(project.folder, "out");
  return readdirSync(out).flatMap((folder) =>
    readdirSync(join(out, folder))
      .filter((file) => !file.startsWith("."))
      .map((file) => `${folder}/${file}`),
  );
}

async function untilShown(scene: Scene, fed: readonly string[]): Promise<Rows> {
  const wanted = rowsOfWords(fed, "one");
  await vi.waitFor(async () => expect(await scene.rows()).toEqual(wanted), waiting);
  return wanted;
}

/** R1: a file is of a checkpoint that was complete when its generation was left, or of one of the generation that runs. */
async function expectComplete(scene: Scene): Promise<void> {
  const { head } = await scene.standing();
  const tips = [...head.left, ...head.savepoints, head.completed];
  for (const file of linesOf(scene)) {
    const [, generation, checkpoint] = /-(\d{8})-(\d{12})-[\d.]+\.jsonl$/.exec(file) ?? [];
    const complete = tips.flatMap((tip) => (tip?.generation === Number(generation) ? [tip.checkpointId] : []));
    expect(Math.max(0, ...complete), file).toBeGreaterThanOrEqual(Number(checkpoint ?? Number.NaN));
  }
}

/** How the last session of a process ended, by its own word. */
const outcomeOf = (running: Running, pid: number): unknown =>
  running
    .events()
    .flatMap((event) => (event.event === "log" && event.pid === pid ? [event.line] : []))
    .filter((line) => line.startsWith('{"event":"session"'))
    .map((line) => JSON.parse(line).outcome)
    .at(-1);

const isOf = (name: string | undefined, what: string): boolean => name?.includes(` ${what}`) ?? false;

/** What the session, or whoever completes its checkpoint, asks for when it is stopped. */
const moments: readonly { readonly what: string; readonly isHere: (writes: readonly string[]) => boolean }[] = [
  { what: "its ack", isHere: (writes) => isOf(writes.at(-1), "ack/") },
  {
    what: "the head that completes",
    isHere: (writes) => isOf(writes.at(-1), "head") && writes.some((name) => isOf(name, "manifest/")),
  },
  { what: "the first row", isHere: (writes) => isOf(writes.at(-1), "totals-zombies") },
  {
    what: "the last row",
    isHere: (writes) => writes.filter((name) => isOf(name, "totals-zombies")).length === new Set(words).size,
  },
];

it("R2 W1 W2 zombies of a generation that a replay has left show nothing", async () => {
  const scene = await openScene("zombies");
  scene.project.write("pipeline.ts", withLines("zombies"));
  const fed: string[] = [];
  const feed = async (): Promise<void> => {
    fed.push(...words);
    await scene.feed(words);
  };
  await feed();
  const running = scene.begin(["dev", "pipeline.ts", "--json"], "the wire");
  await untilShown(scene, fed);
  await scene.done("savepoint", "pipeline.ts", "--name", "first");

  for (const [index, { what, isHere }] of moments.entries()) {
    let zombies: ReadonlyMap<string, number> = new Map();
    const stopAll = () => {
      zombies = sessionsOf(running);
      for (const pid of zombies.values()) process.kill(pid, "SIGSTOP");
    };
    const before = await scene.standing();
    scene.wire.arm({ isHere, fall: "late", kill: stopAll, staysOpen: true });
    await feed();
    await vi.waitUntil(() => scene.wire.hasFallen(), waiting);
    expect(zombies.size, what).toBeGreaterThan(0);
    const suffix = `after-${index}`;
    const sinks = ["--sinks", "totals=overwrite", "--sinks", `lines=redirect:${suffix}`];
    await scene.done("replay", "pipeline.ts", "--from-checkpoint", "first", ...sinks, "--yes");
    expect((await scene.standing()).head.generation).toBe(before.head.generation + 1);
    // A row of the zombie's would be an older count.
    await feed();
    const rows = await untilShown(scene, fed);
    await vi.waitUntil(() => linesOf(scene).some((file) => file.startsWith(`lines-${suffix}/`)), waiting);
    for (const pid of zombies.values()) process.kill(pid, "SIGCONT");
    await scene.wire.letArrive();
    // At once: a supervisor that finds another head might mend it.
    expect((await scene.standing()).head.generation, what).toBe(before.head.generation + 1);
    await vi.waitUntil(() => [...zombies.keys()].every((request) => !sessionsOf(running).has(request)), waiting);
    for (const pid of zombies.values()) expect(outcomeOf(running, pid), what).toEqual({ kind: "fenced" });
    expect(await scene.rows(), what).toEqual(rows);
    await expectComplete(scene);
  }
  running.signal("SIGINT", "group");
  expect(await running.ended).toMatchObject({ code: 0 });
});
