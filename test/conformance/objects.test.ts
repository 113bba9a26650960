import { afterAll, beforeAll, describe, test } from "vitest";
import { s3Objects } from "../../lib/connectors/s3-objects.js";
import { objectsConformance } from "../../lib/testing/conformance/objects.js";
import { faulty } from "../../lib/testing/faults/faulty.js";
import { noCallFaults } from "../../lib/testing/faults/rates.js";
import { memoryObjects } from "../../lib/testing/memory/objects.js";
import { type Cloud, openCloud } from "./aws-cloud.js";

function inMemory() {
  const memory = memoryObjects();
  for (const name of ["one", "other"]) memory.createBucket(name);
  return { objects: memory.objects, bucket: "one", other: "other" };
}

describe("objects in memory", () => {
  objectsConformance(test, async () => inMemory());
});

describe("objects behind faults that are switched off", () => {
  objectsConformance(test, async () => {
    const { objects, ...rest } = inMemory();
    return { ...rest, ...faulty({ objects }, { seed: 1, rates: noCallFaults }).world };
  });
});

describe("objects in S3", () => {
  let cloud: Cloud;
  beforeAll(async () => {
    cloud = await openCloud();
  });
  afterAll(() => cloud.close());

  objectsConformance(test, async () => ({
    objects: s3Objects(cloud.clients.s3),
    bucket: await cloud.createBucket(),
    other: await cloud.createBucket(),
  }));
});
