import { constants, existsSync } from "node:fs";
import { access, mkdir } from "node:fs/promises";
import { type CloudProcess, spawnCloud } from "../local/cloud/child.js";
import { StreamError } from "../model/errors.js";
import { checkAnswers } from "./endpoint.js";

export interface CloudFlags {
  /** `--data`, where it was given. */
  readonly data: string | null;
  /** `--port`, where it was given. */
  readonly port: number | null;
  /** `--aws`. */
  readonly aws: boolean;
}

/** Where a command works: an endpoint that is there already, a cloud of its own, or (both null) AWS. */
export interface OpenCloud {
  readonly endpoint: string | null;
  readonly own: CloudProcess | null;
}

/**
 * What AWS_ENDPOINT_URL names, else AWS where it was asked for, else an embedded cloud of the command's own.
 *
 * @param folder of the embedded cloud's data, where `--data` names no other
 * @throws StreamError `transient`: nothing answers at the endpoint; `invalid`: the folder is in use or cannot be written
 */
export async function openCloud(flags: CloudFlags, folder: string): Promise<OpenCloud> {
  const given = process.env.AWS_ENDPOINT_URL ?? "";
  if (given === "" && !flags.aws) return openEmbedded(flags.data ?? folder, flags.port ?? 0);
  const unused = [...(flags.data === null ? [] : ["--data"]), ...(flags.port === null ? [] : ["--port"])];
  if (unused.length > 0) {
    const instead = given === "" ? "--aws is given" : `AWS_ENDPOINT_URL is ${given}`;
    throw new StreamError(
      "invalid",
      `${unused.join(" and ")} of the embedded cloud have no meaning here: ${instead}; leave one out`,
    );
  }
  if (given !== "") await checkAnswers(given);
  return { endpoint: given === "" ? null : given, own: null };
}

async function openEmbedded(data: string, port: number): Promise<OpenCloud> {
  const own = await spawnEmbedded({ port, data });
  return { endpoint: own.endpoint, own };
}

/** @throws StreamError `invalid`: the packages are not installed, the folder is in use or cannot be written, the port is taken */
export async function spawnEmbedded(options: Parameters<typeof spawnCloud>[0]): Promise<CloudProcess> {
  const { data } = options;
  if (data !== null) await checkFolder(data);
  return spawnCloud(options).catch((error: unknown) => {
    throw data === null ? error : withAdvice(error, data);
  });
}

/** Makes the folder. @throws StreamError `invalid` where that, or writing into it, is refused */
async function checkFolder(data: string): Promise<void> {
  try {
    await mkdir(data, { recursive: true });
    await access(data, constants.W_OK | constants.X_OK);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StreamError(
      "invalid",
      `the folder ${data} for the embedded cloud's data cannot be written (${why}); give another one with --data`,
      { cause },
    );
  }
}

const inUse = /in use by another embedded cloud/;

function withAdvice(error: unknown, data: string): unknown {
  if (!(error instanceof StreamError) || !inUse.test(error.message)) return error;
  return new StreamError(
    "invalid",
    `the data folder ${data} is in use by another embedded cloud, such as a running "tidemark dev". Stop that, or set AWS_ENDPOINT_URL to the endpoint that it printed`,
    { cause: error },
  );
}

/** Whether an embedded cloud has ever kept anything there. */
export const hasData = (data: string): boolean => existsSync(data);
