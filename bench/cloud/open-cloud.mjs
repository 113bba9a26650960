// An embedded cloud for one benchmark, in a process of its own, with what a pipeline needs.
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { awsClients } from "../../dist/connectors/clients.js";
import { provisioner, registersKey } from "../../dist/connectors/provision.js";
import { spawnCloud } from "../../dist/local/cloud/child.js";

export const names = { stream: "flights", registers: "checkpoints", bucket: "checkpoints" };
const region = "us-east-1";
const recordsPerPut = 500;
const putsAtOnce = 4;
const attemptsMax = 20;

/**
 * @param {{ shards: number, kinesisApart?: boolean }} options `kinesisApart`: Kinesis has a process of its own, as services of AWS
 *   have their own machines: what else a pipeline asks for takes no CPU time from its reads
 */
export async function openCloud({ shards, kinesisApart = false }) {
  const cloud = await spawnCloud({ port: 0, data: null });
  const streams = kinesisApart ? await spawnCloud({ port: 0, data: null }) : cloud;
  const credentials = { accessKeyId: "any", secretAccessKey: "any" };
  const others = awsClients({ endpoint: cloud.endpoint, region, credentials });
  const { kinesis, destroy } = awsClients({ endpoint: streams.endpoint, region, credentials });
  const clients = { ...others, kinesis };
  const make = provisioner(clients);
  const close = async () => {
    others.destroy();
    destroy();
    await cloud.stop();
    if (kinesisApart) await streams.stop();
  };
  try {
    await make.stream(names.stream, shards);
    await make.bucket(names.bucket);
    await make.table(names.registers, registersKey);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    clients,
    make,
    close,
    /** For the SDK of processes that use it. */
    env: {
      AWS_ENDPOINT_URL: cloud.endpoint,
      AWS_ENDPOINT_URL_KINESIS: streams.endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
  };
}

/** Puts lines as records, by their `origin`. */
export async function putLines(kinesis, lines) {
  const left = lines[Symbol.iterator]();
  const work = async () => {
    for (let batch = take(left, recordsPerPut); batch.length > 0; batch = take(left, recordsPerPut))
      await putAll(kinesis, batch);
  };
  await Promise.all(Array.from({ length: putsAtOnce }, work));
}

function take(iterator, count) {
  const taken = [];
  while (taken.length < count) {
    const { done, value } = iterator.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}

/** What is refused is put again, and only that. */
async function putAll(kinesis, lines) {
  let left = lines.map((line) => ({ PartitionKey: JSON.parse(line).origin, Data: Buffer.from(line) }));
  for (let attempt = 1; left.length > 0; attempt++) {
    if (attempt > attemptsMax) throw new Error(`${left.length} records were refused ${attemptsMax} times`);
    const { Records = [] } = await kinesis.send(new PutRecordsCommand({ StreamName: names.stream, Records: left }));
    left = left.filter((_, index) => Records[index]?.ErrorCode !== undefined);
  }
}
