// Deploys (P4): two versions of the function, sessions that hand over, supervisors of either version, failures at any moment.
//
// Version 2 has other code, of which the plan's fingerprint says nothing. `desired` is the fact that a deploy writes, with its number.
// Version 2 may be wrong: then it is taken back, as long as it has completed nothing, whenever it runs.
import { type Entries, entry, replaced, withEntry } from "../changes.js";
import type { Machine, Step } from "../machine.js";

/** What each rule might say. The first is what docs/PROTOCOL.md says, each other one is wrong, or another way. */
export interface Rules {
  /** Which version a successor is invoked by. */
  readonly invoking: "the generation's version" | "the newest version";
  /** Which sessions refuse the lease. */
  readonly refusing: "those of another version" | "those with another fingerprint";
  /** Who opens a generation, and with which version. */
  readonly opening: "code of the desired version" | "any code, with its own version";
  /** B4: whose code folds the acks. */
  readonly completing: "code of the generation's version" | "any code";
  /** When the old version is removed. */
  readonly removing: "when nothing goes back to it" | "when no generation has it" | "at the deploy";
  /** What becomes of code that fails before its first checkpoint. */
  readonly takingBack: "its number stays" | "its number goes too" | "never";
  /** Who opens a generation of the old version once the schedule calls the new supervisor alone. */
  readonly calling: "the desired code, by its version" | "the schedule's supervisor alone";
}

export const asBuilt: Rules = {
  invoking: "the generation's version",
  refusing: "those of another version",
  opening: "code of the desired version",
  completing: "code of the generation's version",
  removing: "when nothing goes back to it",
  takingBack: "its number stays",
  calling: "the desired code, by its version",
};

export interface Budget {
  readonly failures: number;
  readonly handovers: number;
  readonly checkpoints: number;
}

export interface Setup {
  readonly rules: Rules;
  readonly budget: Budget;
}

export interface State {
  readonly newest: number;
  readonly desired: number;
  /** Of the deployment that is desired. */
  readonly number: number;
  /** Version 2 has completed a checkpoint. */
  readonly isProven: boolean;
  readonly isOldRemoved: boolean;
  readonly supervisors: readonly number[];
  readonly generation: number;
  /** The generation's. */
  readonly version: number;
  readonly checkpoint: number;
  /** By task: the version of the session that has its lease; null: it is free. */
  readonly leases: readonly (number | null)[];
  /** Of the pending checkpoint, by task: the version that wrote it. */
  readonly acks: Entries<number>;
  readonly mixed: string;
  readonly used: Budget;
}

/** More generations than these mean that there is no end of them. */
const generationsMax = 7;

export function deploys(setup: Setup): Machine<State> {
  return {
    initial,
    steps: (state) =>
      state.generation > generationsMax
        ? []
        : [
            ...deployments(setup, state),
            ...takingsBack(setup, state),
            ...openings(setup, state),
            ...tasks(setup, state),
            ...completions(setup, state),
          ],
    violation: ({ mixed, generation }) =>
      mixed || (generation > generationsMax ? "the supervisors open generations against each other without end" : null),
    isEnd: ({ newest, desired, version, leases }) =>
      newest === 2 && desired === version && leases.every((lease) => lease === version),
    mustEnd: true,
  };
}

const initial: State = {
  newest: 1,
  desired: 1,
  number: 1,
  isProven: false,
  isOldRemoved: false,
  supervisors: [1],
  generation: 1,
  version: 1,
  checkpoint: 1,
  leases: [null, null],
  acks: {},
  mixed: "",
  used: { failures: 0, handovers: 0, checkpoints: 0 },
};

/** The new supervisor runs beside the old one for a while. */
function deployments({ rules }: Setup, state: State): readonly Step<State>[] {
  const steps: Step<State>[] = [];
  if (state.newest === 1) {
    const isOldRemoved = rules.removing === "at the deploy";
    const next = { ...state, newest: 2, desired: 2, number: 2, supervisors: [1, 2], isOldRemoved };
    steps.push({ label: "version 2 is deployed, and its supervisor starts beside the old one", next });
  }
  if (state.newest === 2 && state.number < 2)
    steps.push({
      label: "the supervisor of version 2 asks for its turn again",
      next: { ...state, desired: 2, number: 2 },
    });
  if (state.supervisors.length === 2)
    steps.push({ label: "the old supervisor is gone", next: { ...state, supervisors: [2] } });
  const isNeeded = rules.removing === "when nothing goes back to it" && !(state.isProven && state.desired === 2);
  if (state.version === 2 && !isNeeded && !state.isOldRemoved)
    steps.push({ label: "version 1 is removed", next: { ...state, isOldRemoved: true } });
  return steps;
}

/** Version 2 fails for good before its first checkpoint. */
function takingsBack({ rules }: Setup, state: State): readonly Step<State>[] {
  if (rules.takingBack === "never" || state.version !== 2 || state.desired !== 2 || state.isProven) return [];
  const number = rules.takingBack === "its number stays" ? state.number : 1;
  return [{ label: "version 2 is taken back", next: { ...state, desired: 1, number } }];
}

/** R2: after a deploy, after failures, and after a deploy was taken back. */
function openings({ rules, budget }: Setup, state: State): readonly Step<State>[] {
  const { used, generation } = state;
  const isOwn = rules.opening === "any code, with its own version";
  const called = rules.calling === "the desired code, by its version" && !(state.desired === 1 && state.isOldRemoved);
  const openers = [...new Set([...state.supervisors, ...(called ? [state.desired] : [])])];
  return openers
    .filter((own) => isOwn || own === state.desired)
    .flatMap((version) => {
      const opened = { ...state, generation: generation + 1, version, leases: [null, null], acks: {} };
      const what = `the supervisor of version ${version} opens generation ${generation + 1}`;
      const steps: Step<State>[] = [];
      if (state.version !== version) steps.push({ label: `${what}: it finds version ${state.version}`, next: opened });
      if (used.failures < budget.failures)
        steps.push({
          label: `${what}: a failure`,
          next: { ...opened, used: { ...used, failures: used.failures + 1 } },
        });
      return steps;
    });
}

function tasks(setup: Setup, state: State): readonly Step<State>[] {
  return state.leases.flatMap((version, task) =>
    version === null ? begins(setup, state, task) : sessionSteps(setup, state, { task, version }),
  );
}

function begins({ rules }: Setup, state: State, task: number): readonly Step<State>[] {
  const version = rules.invoking === "the newest version" ? state.newest : state.version;
  const isGone = version === 1 && state.isOldRemoved;
  const isRefused = version !== state.version && rules.refusing === "those of another version";
  if (isGone || isRefused) return [];
  const label = `a session of version ${version} takes task ${task} of generation ${state.generation}`;
  return [{ label, next: { ...state, leases: replaced<number | null>(state.leases, task, version) } }];
}

function sessionSteps(
  { budget }: Setup,
  state: State,
  { task, version }: { readonly task: number; readonly version: number },
): readonly Step<State>[] {
  const { used, acks, checkpoint } = state;
  const who = `task ${task} (version ${version})`;
  const steps: Step<State>[] = [];
  if (used.checkpoints < budget.checkpoints && acks[task] === undefined)
    steps.push({
      label: `${who} acks ${checkpoint}`,
      next: { ...state, acks: withEntry(acks, String(task), version) },
    });
  if (used.handovers < budget.handovers) {
    const leases = replaced<number | null>(state.leases, task, null);
    const next = { ...state, leases, used: { ...used, handovers: used.handovers + 1 } };
    steps.push({ label: `${who} hands over`, next });
  }
  return steps;
}

/** R3: the session of task 0 tries, and each supervisor. */
function completions({ rules }: Setup, state: State): readonly Step<State>[] {
  const { acks, leases, checkpoint, used } = state;
  if (Object.keys(acks).length < leases.length) return [];
  const coordinator = entry(leases, 0);
  const folders = [...state.supervisors, ...(coordinator === null ? [] : [coordinator])];
  const mayFold = (version: number) => rules.completing === "any code" || version === state.version;
  return [...new Set(folders)].filter(mayFold).map((version) => {
    const versions = new Set([...Object.values(acks), version]);
    const mixed =
      versions.size > 1 ? `checkpoint ${checkpoint} mixes the code of versions ${[...versions].join()}` : "";
    const next = {
      ...state,
      checkpoint: checkpoint + 1,
      acks: {},
      isProven: state.isProven || state.version === 2,
      mixed,
      used: { ...used, checkpoints: used.checkpoints + 1 },
    };
    return { label: `checkpoint ${checkpoint} completes, folded by version ${version}`, next };
  });
}
