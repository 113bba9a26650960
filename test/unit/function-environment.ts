import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { vi } from "vitest";
import { environmentVariables } from "../../lib/compose.js";

/** As a function finds them: the variables of its deployment, an endpoint for each service; its log lines go nowhere. */
export function stubFunctionEnvironment(
  endpoint: string,
  lambda: Server,
  environment: Parameters<typeof environmentVariables>[0],
): void {
  const aws = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_ENDPOINT_URL_LAMBDA: `http://127.0.0.1:${(lambda.address() as AddressInfo).port}`,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
  };
  for (const [name, value] of Object.entries({ ...aws, ...environmentVariables(environment) })) vi.stubEnv(name, value);
  vi.spyOn(process.stdout, "write").mockImplementation(() => true);
}
