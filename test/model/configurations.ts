import type { Configuration } from "./configuration.js";
import { deploysConfigurations } from "./deploys/configurations.js";
import { exchangeConfigurations } from "./exchange/configurations.js";
import { garbageConfigurations } from "./garbage/configurations.js";
import { livesConfigurations } from "./lives/configurations.js";
import { sessionsConfigurations } from "./sessions/configurations.js";
import { shardsConfigurations } from "./shards/configurations.js";

/** Everything that is checked. */
export const configurations = (): readonly Configuration[] => [
  ...exchangeConfigurations(),
  ...sessionsConfigurations(),
  ...livesConfigurations(),
  ...shardsConfigurations(),
  ...garbageConfigurations(),
  ...deploysConfigurations(),
];
