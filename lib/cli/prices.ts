import { prices } from "../model/prices.js";

/** In dollars, by port and method, as acks count them. An item is taken for one of at most 1 KB (written) or 4 KB (read, of a list: all of it). */
const byCall: Readonly<Record<string, number>> = {
  "registers.read": prices.dynamoReadUnit,
  "registers.list": prices.dynamoReadUnit,
  "registers.swap": prices.dynamoWriteUnit,
  "registers.put": prices.dynamoWriteUnit,
  "registers.remove": prices.dynamoWriteUnit,
  "blobs.put": prices.s3Write,
  "blobs.list": prices.s3Write,
  "blobs.get": prices.s3Read,
  "blobs.remove": 0,
  "objects.put": prices.s3Write,
  "objects.copy": prices.s3Write,
  "objects.list": prices.s3Write,
  "objects.size": prices.s3Read,
  "objects.rules": prices.s3Read,
  "objects.remove": 0,
  "tables.put": prices.dynamoWriteUnit,
  "tables.read": prices.dynamoReadUnit,
  "tables.describe": 0,
  "tables.measure": 0,
  "functions.invokeTask": prices.lambdaRequest,
  "functions.callSupervisor": prices.lambdaRequest,
  // What a stream costs is its shards by the hour.
  "log.read": 0,
  "log.shards": 0,
  "log.cursor": 0,
  "log.describe": 0,
  "streams.describe": 0,
};

/** What requests cost, and of which of them that is not known: of a transaction, say, which is paid by its items. Files cost nothing. */
export function priceOf(requests: Readonly<Record<string, number>>): {
  readonly dollars: number;
  readonly unpriced: readonly string[];
} {
  const calls = Object.entries(requests);
  return {
    dollars: calls.reduce((sum, [call, count]) => sum + count * (byCall[call] ?? 0), 0),
    unpriced: calls
      .flatMap(([call]) => (Object.hasOwn(byCall, call) || call.startsWith("files.") ? [] : [call]))
      .sort(),
  };
}
