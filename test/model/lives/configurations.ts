import { type Configuration, configurationsOf } from "../configuration.js";
import { lives } from "./lives.js";
import { asBuilt, type Budget, type Setup } from "./state.js";

const { fails, holds, holdsLarge } = configurationsOf(lives);

const none: Budget = { checkpoints: 0, aborts: 0, deaths: 0, handovers: 0, wakes: 0, failures: 0 };
const budget = (some: Partial<Budget>): Budget => ({ ...none, ...some });

const sleeping: Omit<Setup, "budget"> = { records: [["x1"], ["y1"]], ending: "suspend", rules: asBuilt };
const stopping: Omit<Setup, "budget"> = { ...sleeping, ending: "stop" };
const finishing: Omit<Setup, "budget"> = { ...sleeping, ending: "finish" };
/** One of its tasks has no record. */
const lopsided: Omit<Setup, "budget"> = { ...sleeping, records: [["x1"], []] };

const wrongRules = (): readonly Configuration[] => [
  fails("B1 a suspend checkpoint needs no change: needing one, it never sleeps after a death", {
    ...sleeping,
    rules: { ...asBuilt, trigger: "if something changed" },
    budget: budget({ deaths: 1 }),
  }),
  fails("B1 a final checkpoint needs no change: needing one, it never finishes after a death", {
    ...finishing,
    rules: { ...asBuilt, trigger: "if something changed" },
    budget: budget({ deaths: 1 }),
  }),
  fails("B1 a suspend checkpoint needs no change: needing one, it never sleeps after a checkpoint of everything", {
    ...sleeping,
    rules: { ...asBuilt, opening: "status stays", trigger: "if something changed" },
    budget: budget({ checkpoints: 1 }),
  }),
  fails(
    "B1 triggered only while running: triggered while it suspends, its checkpoint waits for sessions that are gone",
    {
      ...sleeping,
      rules: { ...asBuilt, triggerWhile: "any status" },
      budget: budget({ checkpoints: 1 }),
    },
  ),
  fails("C3 every session waits for R1: one without committables leaves, and nobody takes its task up", {
    ...lopsided,
    rules: { ...asBuilt, waiting: "those with committables", successors: "while running" },
    budget: none,
  }),
  fails("C3, N1 a released lease is taken up until the end: taken up while running, the end is never reached", {
    ...sleeping,
    rules: { ...asBuilt, successors: "while running" },
    budget: budget({ handovers: 1 }),
  }),
  fails("C3 a lease says committed for the ack that counts: for the completed one, a finished task never says it", {
    ...finishing,
    rules: { ...asBuilt, committed: "for the completed checkpoint" },
    budget: budget({ checkpoints: 2 }),
  }),
];

const right = (): readonly Configuration[] => [
  holds("C3, B5 suspend, a death, an abort", { ...sleeping, budget: budget({ deaths: 1, aborts: 1 }) }),
  holdsLarge("C3, B5 suspend, a death, an abort, a checkpoint before", {
    ...sleeping,
    budget: budget({ deaths: 1, aborts: 1, checkpoints: 1 }),
  }),
  holds("C3, R2 suspend, two deaths", { ...sleeping, budget: budget({ deaths: 2 }) }),
  holds("C3, N1 suspend, a hand-over, a death", { ...sleeping, budget: budget({ deaths: 1, handovers: 1 }) }),
  holds("C3, N1 suspend, two hand-overs, an abort", { ...sleeping, budget: budget({ aborts: 1, handovers: 2 }) }),
  holds("N2, N3 suspend, wake, a death", { ...sleeping, budget: budget({ wakes: 1, deaths: 1 }) }),
  holdsLarge("N2, N3 suspend, wake, a failure, an abort, zombies", {
    ...sleeping,
    budget: budget({ wakes: 1, failures: 1, aborts: 1 }),
  }),
  holds("C3 stop, a start, a failure, zombies", { ...stopping, budget: budget({ wakes: 1, failures: 1 }) }),
  holds("C3, B5 finish, a death, an abort", { ...finishing, budget: budget({ deaths: 1, aborts: 1 }) }),
  holds("C3, B4 finish, a task finishes before the others", {
    ...finishing,
    budget: budget({ checkpoints: 2, deaths: 1 }),
  }),
  holdsLarge("C3, N1 finish, a hand-over, a death, a failure", {
    ...finishing,
    budget: budget({ deaths: 1, handovers: 1, failures: 1, checkpoints: 1 }),
  }),
  holds("R2 finish, the opening keeps the status (another way)", {
    ...finishing,
    rules: { ...asBuilt, opening: "status stays" },
    budget: budget({ deaths: 1, checkpoints: 1 }),
  }),
];

export const livesConfigurations = (): readonly Configuration[] => [...wrongRules(), ...right()];
