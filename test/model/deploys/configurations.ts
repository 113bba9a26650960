import { type Configuration, configurationsOf } from "../configuration.js";
import { asBuilt, deploys } from "./deploys.js";

const { fails, holds } = configurationsOf(deploys);

const budget = { failures: 2, handovers: 2, checkpoints: 2 };

export const deploysConfigurations = (): readonly Configuration[] => [
  fails("P4 a session of another version refuses the lease: of another fingerprint only, a checkpoint mixes code", {
    rules: { ...asBuilt, invoking: "the newest version", refusing: "those with another fingerprint" },
    budget,
  }),
  fails("P4 a generation is opened with the desired version: with the opener's, there is no end of generations", {
    rules: { ...asBuilt, opening: "any code, with its own version" },
    budget,
  }),
  fails("P4, B4 code of the generation's version completes: completed by any, a checkpoint mixes code", {
    rules: { ...asBuilt, completing: "any code" },
    budget,
  }),
  fails("P4 what was taken back keeps its number: if not, its supervisor asks for its turn again, without end", {
    rules: { ...asBuilt, takingBack: "its number goes too" },
    budget,
  }),
  fails("P4 the desired code is called by its version: if not, nobody opens what was gone back to", {
    rules: { ...asBuilt, calling: "the schedule's supervisor alone" },
    budget,
  }),
  fails(
    "P4 the old version stays until the new one has completed a checkpoint: if not, there is nothing to go back to",
    {
      rules: { ...asBuilt, removing: "when no generation has it" },
      budget,
    },
  ),
  fails("P4 sessions are invoked by the generation's version: by the newest, nobody runs what was gone back to", {
    rules: { ...asBuilt, invoking: "the newest version" },
    budget,
  }),
  holds("P4 a deploy that may be taken back, failures, hand-overs", { rules: asBuilt, budget }),
  holds("P4 nothing is taken back: the old version goes with its last generation (another way)", {
    rules: { ...asBuilt, takingBack: "never", removing: "when no generation has it" },
    budget,
  }),
  holds("P4 invoked by version, only another fingerprint is refused (another way)", {
    rules: { ...asBuilt, refusing: "those with another fingerprint" },
    budget,
  }),
  holds("P4 invoked by the newest version, another one is refused (another way)", {
    rules: { ...asBuilt, invoking: "the newest version", takingBack: "never" },
    budget,
  }),
  holds("P4 the old version is removed at the deploy (another way)", {
    rules: { ...asBuilt, removing: "at the deploy", takingBack: "never" },
    budget,
  }),
];
