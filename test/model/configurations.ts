import type { Configuration } from "./configuration.js";
import { exchangeConfigurations } from "./exchange/configurations.js";
import { livesConfigurations } from "./lives/configurations.js";

/** Everything that is checked. */
export const configurations = (): readonly Configuration[] => [...exchangeConfigurations(), ...livesConfigurations()];
