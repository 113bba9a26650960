// A sink of each kind that a redirect can have another target for, and one whose database lets in whom it will.
import { dynamoCounters, dynamoTable, json, kinesisSource, kinesisStream, pipeline, s3Files } from "tidemark";
import { postgres } from "tidemark/postgres";

interface Order {
  readonly id: string;
  readonly customer: string;
}

export default pipeline("targets", {}, (flow) => {
  const orders = flow.from("orders", kinesisSource({ stream: "orders", codec: json<Order>() }));
  return [
    orders.to("customers", dynamoTable({ table: "customers", key: ["customer"] })),
    orders
      .map(({ customer }) => ({ customer, orders: 1 }))
      .to("totals", dynamoCounters({ table: "totals", key: ["customer"] })),
    orders.to("alerts", kinesisStream({ stream: "alerts", partitionKey: ({ id }) => id })),
    orders.to("lake", s3Files({ bucket: "lake", prefix: "orders/" })),
    orders.to("staged", s3Files({ bucket: "lake", prefix: "staged/", staging: "aside/" })),
    orders.to("whole", s3Files({ bucket: "own" })),
    orders.to("shop", postgres({ database: "env:SHOP_URL", table: "orders", mode: "upsert", key: ["id"] })),
  ];
});
