// Deploys the example: npx cdk deploy. The stream and the table of flights are made here, since an example has none.
import { App, Stack } from "aws-cdk-lib";
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import * as kinesis from "aws-cdk-lib/aws-kinesis";
import { TidemarkPipeline } from "./index.js";

const app = new App();
const stack = new Stack(app, "TidemarkFlights");
const flights = new kinesis.Stream(stack, "FlightsStream", { shardCount: 4 });
const airports = new dynamodb.Table(stack, "Airports", {
  partitionKey: { name: "airport", type: dynamodb.AttributeType.STRING },
  billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
  pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
});

new TidemarkPipeline(stack, "Flights", {
  entry: "examples/flight-delays/pipeline.ts",
  streams: { flights },
  tables: { airports },
});
