// npm run sim -- --seeds N [--from S], or SEED=N npm run sim: see the simulation's main.
import { main } from "../../dist/testing/simulation/main.js";

process.exit(await main(process.argv.slice(2), process.env));
