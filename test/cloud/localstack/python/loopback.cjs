// For the Kinesis emulator, which listens on all interfaces and has no setting for it.
const { Server } = require("node:net");

const { listen } = Server.prototype;
const host = "127.0.0.1";
Server.prototype.listen = function listenOnLoopback(first, ...rest) {
  if (typeof first === "object" && first?.port !== undefined) return listen.call(this, { ...first, host }, ...rest);
  if (typeof first !== "number") return listen.call(this, first, ...rest);
  return listen.call(this, first, host, ...rest.filter((each) => typeof each !== "string"));
};
