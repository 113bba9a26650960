import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { createServer as createNetServer, type Socket } from "node:net";
import { StreamError } from "../../model/errors.js";

// Clients keep idle connections for a minute and more; a server that closes first lets calls fail with ECONNRESET.
const keepAliveMs = 75_000;
// One HTTP/2 session carries all calls of a client: with Node's 10 MB a few large PutRecords at once would end it.
const sessionMemoryMb = 1_024;
const windowBytes = 16 * 1024 * 1024;
const prefaceStart = "PRI";

/** What a client may tell this cloud from another by: the header "server" of its answers. */
const serverName = "tidemark-cloud";

export type Handle = (request: IncomingMessage, response: ServerResponse) => void;

export interface OpenPort {
  readonly port: number;
  /** Takes no more connections and ends the ones there are. */
  close(): Promise<void>;
}

/**
 * Serves HTTP/1.1 and clear-text HTTP/2 on one port of 127.0.0.1: a connection that begins with `PRI` speaks HTTP/2.
 *
 * @throws StreamError `invalid` when the port is taken.
 */
export async function openPort(port: number, handle: Handle): Promise<OpenPort> {
  const named: Handle = (request, response) => {
    response.setHeader("server", serverName);
    // The clock that requests are judged by. Node's own header is of another one: cached for a second, and blind to a clock that a test sets.
    response.setHeader("date", new Date(Date.now()).toUTCString());
    handle(request, response);
  };
  const http1 = createServer(
    { keepAliveTimeout: keepAliveMs, headersTimeout: keepAliveMs + 1_000, requestTimeout: 0 },
    named,
  );
  const http2 = createHttp2Server({ maxSessionMemory: sessionMemoryMb, settings: { initialWindowSize: windowBytes } });
  http2.on("session", (session) => session.setLocalWindowSize(windowBytes));
  http2.on("sessionError", () => undefined);
  // The compatibility objects of HTTP/2 have what the handlers use of HTTP/1's.
  http2.on("request", named as never);
  const sockets = new Set<Socket>();
  const server = createNetServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    // A client that resets its connection is no fault of the server's.
    socket.on("error", () => socket.destroy());
    sortOut(socket, (version) => (version === "2" ? http2 : http1).emit("connection", socket));
  });
  const bound = await listen(server, port);
  return {
    port: bound,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function sortOut(socket: Socket, serve: (version: "1" | "2") => void): void {
  socket.setTimeout(keepAliveMs, () => socket.destroy());
  let head = Buffer.alloc(0);
  const look = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    head = Buffer.concat([head, chunk]);
    const start = head.subarray(0, prefaceStart.length).toString("latin1");
    // Not put back before it is decided: what is put back is readable again at once.
    if (start.length < prefaceStart.length && prefaceStart.startsWith(start)) return;
    socket.off("readable", look);
    socket.setTimeout(0);
    socket.removeAllListeners("timeout");
    socket.unshift(head);
    serve(start === prefaceStart ? "2" : "1");
  };
  socket.on("readable", look);
}

function listen(server: ReturnType<typeof createNetServer>, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const message = `the embedded cloud cannot listen on 127.0.0.1:${port}: ${cause.message}. Free the port or give another one`;
      reject(new StreamError("invalid", message, { cause }));
    });
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}
