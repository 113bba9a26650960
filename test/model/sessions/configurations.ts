import { type Configuration, configurationsOf } from "../configuration.js";
import { sessions } from "./sessions.js";
import { asBuilt, type Budget, type Rules, type Setup } from "./state.js";

const { fails, holds, holdsLarge, holdsWalked } = configurationsOf(sessions);

const none: Budget = { checkpoints: 2, aborts: 0, failures: 0, replays: 0, handovers: 0, lost: 0, repeats: 0 };
const budget = (some: Partial<Budget>): Budget => ({ ...none, ...some });

/** Without a replay a reader may take all files, and still sees each record once. */
const anyReader: Rules = { ...asBuilt, reader: "all" };
const one: Omit<Setup, "budget"> = { rules: anyReader, records: [["x1", "x2"]] };
const two: Omit<Setup, "budget"> = { rules: anyReader, records: [["x1"], ["y1"]] };
const replayed: Omit<Setup, "budget"> = { rules: asBuilt, records: [["x1", "x2"]] };

const wrongRules = (): readonly Configuration[] => [
  fails("R1 compares generation and pending: the generation alone, an aborted checkpoint completes after the next", {
    ...one,
    records: [["x1"]],
    rules: { ...anyReader, completing: "generation" },
    budget: budget({ checkpoints: 3, aborts: 1, failures: 1 }),
  }),
  fails("R2 an opening makes its origin the completed checkpoint: left, a failure goes back on a replay", {
    ...one,
    rules: { ...anyReader, opening: "completed stays" },
    budget: budget({ replays: 1 }),
  }),
  fails("R4 a session draws its id at its execution: from the invocation, a twin runs beside it", {
    ...one,
    rules: { ...anyReader, sessionId: "in the invocation" },
    budget: budget({ repeats: 1 }),
  }),
  fails("R5 a release is the last act: read back, it happens later and two sessions run", {
    ...one,
    rules: { ...anyReader, release: "is read back" },
    budget: budget({ handovers: 1, lost: 1 }),
  }),
  fails("C1 an ack lists all that is not known to be committed: listing what is new, output is lost", {
    ...one,
    rules: { ...anyReader, listing: "what is new" },
    budget: budget({ failures: 1 }),
  }),
  fails("N1 a session hands over its ack: state and positions alone, output is lost", {
    ...one,
    rules: { ...anyReader, handover: "state and positions" },
    budget: budget({ handovers: 1 }),
  }),
  fails("W2 a reader follows the lineage: taking all files, it sees a record twice after a replay", {
    ...one,
    rules: anyReader,
    budget: budget({ checkpoints: 3, replays: 1 }),
  }),
];

const right = (): readonly Configuration[] => [
  holds("C1, R2 a failure, zombies", { ...one, budget: budget({ failures: 1 }) }),
  holdsLarge("C1, R2 two failures, zombies, two tasks", { ...two, budget: budget({ failures: 2 }) }),
  holds("R1, B5, C1 an abort, a failure", { ...one, budget: budget({ aborts: 1, failures: 1 }) }),
  holdsLarge("R1, B5, C1 an abort, a failure, a checkpoint more", {
    ...one,
    budget: budget({ checkpoints: 3, aborts: 1, failures: 1 }),
  }),
  holds("N1, R4, R5 a hand-over, a lost answer, a failure", {
    ...one,
    budget: budget({ failures: 1, handovers: 1, lost: 1 }),
  }),
  holdsLarge("N1, R5 two tasks, hand-overs, lost answers, an abort, a failure", {
    ...two,
    budget: budget({ failures: 1, handovers: 1, lost: 1, aborts: 1 }),
  }),
  holds("R2, W2 a replay, a reader follows the lineage", {
    ...replayed,
    budget: budget({ checkpoints: 3, replays: 1 }),
  }),
  holdsLarge("R2, W2 a replay, a failure, a reader follows the lineage", {
    ...replayed,
    budget: budget({ checkpoints: 3, failures: 1, replays: 1 }),
  }),
  holdsWalked("R1 to R5, C1, N1 all faults", {
    ...two,
    records: [
      ["x1", "x2"],
      ["y1", "y2"],
    ],
    budget: { checkpoints: 5, aborts: 2, failures: 2, replays: 0, handovers: 3, lost: 2, repeats: 0 },
  }),
];

export const sessionsConfigurations = (): readonly Configuration[] => [...wrongRules(), ...right()];
