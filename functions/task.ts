// The function that runs a pipeline's tasks: one invocation is one session.
import { taskHandler } from "tidemark/lambda";
import pipeline from "tidemark-entry";

export const handler = taskHandler(pipeline);
