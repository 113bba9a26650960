// The function that is called every minute, and whenever a session of the pipeline has failed.
import { supervisorHandler } from "tidemark/lambda";
import pipeline from "tidemark-entry";

export const handler = supervisorHandler(pipeline);
