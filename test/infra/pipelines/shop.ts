import { json, kinesisSource, pipeline } from "tidemark";
import { postgres } from "tidemark/postgres";

export default pipeline("shop", {}, (flow) =>
  flow
    .from("orders", kinesisSource({ stream: "orders", codec: json<{ readonly id: string }>() }))
    .to("orders", postgres({ database: "shop", table: "orders", mode: "upsert", key: ["id"] })),
);
