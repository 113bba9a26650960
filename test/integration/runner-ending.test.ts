import { type ChildProcess, fork } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { EnvironmentView } from "../../dist/local/runner/pool.js";
import { startRunner } from "../../dist/local/runner/runner.js";
import { define, functionFile, isAlive, openGround, parentFile, temporaryFolder, until } from "./runner/fixture.js";

describe("close", () => {
  it("ends frozen and busy processes, answers who waits, and takes nothing more", async () => {
    const folder = temporaryFolder();
    const pidFile = join(folder, "processes.json");
    const { runner } = await openGround({ pidFile });
    runner.deploy(define());
    runner.deploy(define({ name: "other" }));
    await runner.invoke({ functionName: "other", payload: { do: "state" } });
    const waiting = runner.invoke({ functionName: "act", payload: { do: "sleep", ms: 30_000 } });
    runner.send({ functionName: "act", payload: { do: "sleep", ms: 30_000 } });
    await until(() => runner.environments().filter(({ state }) => state === "busy").length === 2);
    const pids = runner.environments().map(({ pid }) => pid);
    expect(runner.environments().map(({ state }) => state)).toEqual(["frozen", "busy", "busy"]);
    await runner.close();
    expect(pids.filter(isAlive)).toEqual([]);
    expect(existsSync(pidFile)).toBe(false);
    expect(await waiting).toMatchObject({ functionError: "Unhandled" });
    await expect(runner.invoke({ functionName: "act" })).rejects.toThrow(/the runner is closed/);
    await expect(fetch(runner.endpoint)).rejects.toThrow();
  });

  it("forgets what waits for a retry", async () => {
    const { runner, events } = await openGround({ retryDelayMs: 60_000 });
    runner.deploy(define({ asyncConfig: { retries: 2 } }));
    runner.send({ functionName: "act", payload: { do: "throwing", message: "no" } });
    await until(() => events.some(({ kind }) => kind === "frozen"));
    await runner.close();
    expect(events.filter(({ kind }) => kind === "started")).toHaveLength(1);
  });
});

interface EndedParent {
  readonly pidFile: string;
  readonly frozen: number;
  readonly busy: number;
}

/** A runner in a process of its own, ended while it has a frozen and a busy process. */
async function endParent(end: (parent: ChildProcess) => void): Promise<EndedParent> {
  const pidFile = join(temporaryFolder(), "processes.json");
  const parent = fork(parentFile, [pidFile, functionFile], {
    execArgv: [],
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  const views = await messageOf(parent);
  const pidOf = (name: string) => views.find(({ functionName }) => functionName === name)?.pid ?? 0;
  const ended = { pidFile, frozen: pidOf("frozen"), busy: pidOf("busy") };
  onTestFinished(() => {
    if (isAlive(ended.frozen)) process.kill(ended.frozen, "SIGKILL");
  });
  end(parent);
  await new Promise((resolve) => parent.once("exit", resolve));
  return ended;
}

const killHard = (parent: ChildProcess) => parent.kill("SIGKILL");

function messageOf(parent: ChildProcess): Promise<readonly EnvironmentView[]> {
  return new Promise((resolve) => parent.once("message", (message) => resolve(message as readonly EnvironmentView[])));
}

it("a runner whose program crashes takes its processes along, frozen ones too", async () => {
  const { frozen, busy } = await endParent((parent) => parent.send("crash"));
  await until(() => !isAlive(busy) && !isAlive(frozen));
});

describe("a runner that is killed with -9", () => {
  it("leaves no busy process, and its successor ends the frozen ones", async () => {
    const { pidFile, frozen, busy } = await endParent(killHard);
    await until(() => !isAlive(busy));
    expect(isAlive(frozen)).toBe(true);
    await openGround({ pidFile });
    expect(isAlive(frozen)).toBe(false);
  });

  it("does not cost a process its life that only has the same pid", async () => {
    const { pidFile, frozen } = await endParent(killHard);
    const record = JSON.parse(readFileSync(pidFile, "utf8"));
    for (const child of record.children) child.startTime = "1";
    writeFileSync(pidFile, JSON.stringify(record));
    await openGround({ pidFile });
    expect(isAlive(frozen)).toBe(true);
  });

  it("is told from one that lives: its file is not taken away", async () => {
    const pidFile = join(temporaryFolder(), "processes.json");
    const { runner } = await openGround({ pidFile });
    runner.deploy(define());
    await runner.invoke({ functionName: "act", payload: { do: "state" } });
    await expect(startRunner({ pidFile })).rejects.toThrow(/in use by a runner that is alive/);
    expect(await runner.invoke({ functionName: "act", payload: { do: "state" } })).toMatchObject({
      payload: { invocations: 2 },
    });
  });
});
