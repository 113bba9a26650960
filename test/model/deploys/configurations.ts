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
  holds("P4 a deploy, failures, hand-overs", { rules: asBuilt, budget }),
  holds("P4 invoked by version, only another fingerprint is refused (another way)", {
    rules: { ...asBuilt, refusing: "those with another fingerprint" },
    budget,
  }),
  holds("P4 invoked by the newest version, another one is refused (another way)", {
    rules: { ...asBuilt, invoking: "the newest version" },
    budget,
  }),
  holds("P4 the old version is removed at the deploy (another way)", {
    rules: { ...asBuilt, removing: "at the deploy" },
    budget,
  }),
];
