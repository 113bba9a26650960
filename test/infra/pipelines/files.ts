import { fileSink, fileSource, json, pipeline } from "tidemark";

export default pipeline("from-a-file", {}, (flow) =>
  flow.from("lines", fileSource({ path: "in.jsonl", codec: json() })).to("out", fileSink({ folder: "out" })),
);
