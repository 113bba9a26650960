// One task; a sink that the library does not know; a name that no function may have; variables that it reads when it is loaded.
import { dynamoTable, json, kinesisSource, pipeline, s3Files, type TwoPhaseSink } from "tidemark";

interface Order {
  readonly id: string;
  readonly customer: string;
}

const queue: TwoPhaseSink<Order> = {
  kind: "acme-queue",
  delivery: "two-phase",
  config: { queue: "orders" },
  open() {
    throw new Error("nothing is opened when a pipeline is deployed");
  },
};

export default pipeline(
  "acme.orders",
  {
    onBadRecord: "quarantine",
    deadLetters: dynamoTable({ table: "dead-letters", key: ["id"] }),
    checkpoint: { interval: process.env.ORDERS_INTERVAL === "long" ? "5m" : "10s" },
  },
  (flow) => {
    const orders = flow.from("orders", kinesisSource({ stream: "orders", codec: json<Order>() }));
    return [
      orders.to("customers", dynamoTable({ table: "customers", key: ["customer"] })),
      orders.to("lake", s3Files({ bucket: "lake", prefix: "orders/" })),
      orders.to("queue", queue),
    ];
  },
);
