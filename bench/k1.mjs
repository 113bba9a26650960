import { compareJob, jobReport } from "./files/compare.mjs";

export const run = (options) => compareJob("k1", options);
export const report = jobReport;
