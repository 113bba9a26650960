import type { IncomingMessage, ServerResponse } from "node:http";
import { type Answer, errorAnswer, sendAnswer } from "./answer.js";
import { newRequestId, readRequest } from "./request.js";
import { chooseOperation } from "./routes.js";
import { S3Error } from "./s3-error.js";
import { Store } from "./store.js";

/** A running S3. */
export interface S3 {
  /** Answers one request, of `node:http` or of the compatibility layer of `node:http2`. Never throws. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Later requests get ServiceUnavailable. Without a folder, all that was stored is removed. */
  close(): Promise<void>;
}

/**
 * An S3 for local development: buckets, objects, listings, multipart uploads, copies, tags, conditional reads and writes, checksums.
 * Signatures are not checked, so any credentials and presigned URLs do. Versions and policies are not there; lifecycle rules are kept, and nothing is done by them.
 *
 * An acknowledged write is on the disk and outlives the end of the process (not the loss of power: nothing is fsynced). A folder belongs to
 * one process at a time.
 *
 * @param options.directory where everything lies; null for a temporary folder.
 * @throws StreamError `corrupt` where a journal in the folder cannot be read.
 *
 * @example
 * const s3 = openS3({ directory: null });
 * const server = http.createServer(s3.handle).listen(0, "127.0.0.1");
 */
export function openS3(options: { readonly directory: string | null }): S3 {
  const store = new Store(options.directory);
  return {
    handle: (request, response) => void serve(store, request, response),
    close: async () => store.close(),
  };
}

async function serve(store: Store, message: IncomingMessage, response: ServerResponse): Promise<void> {
  const id = newRequestId();
  // Whoever goes away in mid-request must not end the process; reading and writing notice it by themselves.
  message.on("error", () => undefined);
  response.on("error", () => undefined);
  const answer = await answerTo(store, message, id);
  try {
    sendAnswer(response, { method: message.method ?? "GET", id }, answer);
    message.resume();
  } catch {
    // Headers that HTTP cannot carry, or a connection that is gone.
    response.destroy();
  }
}

async function answerTo(store: Store, message: IncomingMessage, id: string): Promise<Answer> {
  try {
    if (store.isClosed) throw new S3Error("ServiceUnavailable", "The server is closing.");
    const request = readRequest(message, id);
    return await chooseOperation(request)(store, request);
  } catch (error) {
    return errorAnswer(error, { resource: message.url ?? "/", id });
  }
}
