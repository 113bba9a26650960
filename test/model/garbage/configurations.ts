import { type Configuration, configurationsOf } from "../configuration.js";
import { garbage } from "./garbage.js";
import { asBuilt, type Budget, type Setup } from "./state.js";

const { fails, holds, holdsLarge } = configurationsOf(garbage);

const none: Budget = { checkpoints: 3, failures: 0, replays: 0, frames: 0, collections: 1, drops: 0, takings: 0 };
const budget = (some: Partial<Budget>): Budget => ({ ...none, ...some });

const plain: Omit<Setup, "budget"> = { rules: asBuilt, savepoint: 1, sink: false };
const files: Omit<Setup, "budget"> = { ...plain, sink: true };
const withoutCompleted = "at or above the floor, savepoints" as const;

const wrongRules = (): readonly Configuration[] => [
  fails("G1 the completed checkpoint is restorable: if not, a deleted savepoint leaves nothing to restore", {
    ...plain,
    rules: { ...asBuilt, restorable: withoutCompleted },
    budget: budget({ replays: 1, drops: 1, failures: 1 }),
  }),
  fails("G2 the floor is on the lineage: the newest by number, after a replay nothing may be restored", {
    ...plain,
    rules: { ...asBuilt, floor: "to the newest by number", restorable: withoutCompleted },
    savepoint: 0,
    budget: budget({ replays: 1, failures: 1 }),
  }),
  fails("G2 frames go when nothing refers to them: those below the floor are still to be taken", {
    ...plain,
    rules: { ...asBuilt, frames: "those of epochs below the floor" },
    budget: budget({ frames: 1 }),
  }),
  fails("G2 what goes lies below the completed checkpoint too: below the floor alone, a replay loses its frames", {
    ...plain,
    rules: { ...asBuilt, below: "the floor" },
    budget: budget({ checkpoints: 2, replays: 1, frames: 1, collections: 2 }),
  }),
  fails("G2, R7 the marker goes first: going last, it calls complete what has lost something", {
    ...plain,
    rules: { ...asBuilt, marker: "goes last" },
    savepoint: 0,
    budget: none,
  }),
  fails("G1 an older generation's files wait for its sessions: going at once, a zombie finds its file gone", {
    ...files,
    rules: { ...asBuilt, older: "at once" },
    budget: budget({ replays: 1 }),
  }),
  fails("C4 a reader keeps files that are listed: deleted, a restore makes them again", {
    ...files,
    rules: { ...asBuilt, reader: "deletes them" },
    budget: budget({ failures: 1, takings: 1 }),
  }),
];

const right = (): readonly Configuration[] => [
  holds("G1, G2 a replay, a failure, a deleted savepoint, two collections", {
    ...plain,
    budget: budget({ replays: 1, drops: 1, failures: 1, collections: 2 }),
  }),
  holds("G2 a replay, a failure, frames", { ...plain, budget: budget({ replays: 1, failures: 1, frames: 1 }) }),
  holdsLarge("G2 a replay, a failure, two frames", {
    ...plain,
    budget: budget({ replays: 1, failures: 1, frames: 2 }),
  }),
  holdsLarge("G2 a replay from a savepoint, frames, two collections", {
    ...plain,
    budget: budget({ replays: 1, frames: 2, collections: 2 }),
  }),
  holdsLarge("G2 the floor by number, while the completed checkpoint is restorable (another way)", {
    ...plain,
    rules: { ...asBuilt, floor: "to the newest by number" },
    budget: budget({ replays: 1, failures: 1, drops: 1, frames: 1, collections: 2 }),
  }),
  holds("G1, C4 staged files, zombies, a failure, a reader", {
    ...files,
    budget: budget({ failures: 1, takings: 1 }),
  }),
  holdsLarge("G1, C4 staged files, zombies, a replay, a failure, a reader, two collections", {
    ...files,
    budget: budget({ replays: 1, failures: 1, takings: 1, collections: 2 }),
  }),
  holdsLarge("G1, C4 staged files, a replay, two failures, a reader, a deleted savepoint", {
    ...files,
    budget: budget({ failures: 2, replays: 1, takings: 1, drops: 1 }),
  }),
];

export const garbageConfigurations = (): readonly Configuration[] => [...wrongRules(), ...right()];
