import { compareJob, jobReport } from "./files/compare.mjs";

export const run = (options) => compareJob("f1", options);
export const report = jobReport;
