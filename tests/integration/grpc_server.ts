/** A gRPC server on `@grpc/grpc-js`, a process of node: `grpc_server.js ADDRESS:PORT [OPTIONS]`, its channel's as JSON. */
import type { EventEmitter } from "node:events";
import process from "node:process";
import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
} from "@grpc/grpc-js";
import { HEALTH, ORDERS, type ServerEvent } from "./grpc_service.ts";

const echo: handleUnaryCall<Buffer, Buffer> = (call, answer) => {
  const initial = new Metadata();
  initial.set("x-back", call.metadata.get("x-sent")[0] ?? "nothing");
  initial.set("blob-bin", call.metadata.get("blob-bin")[0] ?? Buffer.alloc(0));
  initial.set("x-authority", call.getHost());
  call.sendMetadata(initial);
  const trailers = new Metadata();
  trailers.set("x-trailer", "the end");
  answer(null, call.request, trailers);
};

const collect: handleClientStreamingCall<Buffer, Buffer> = (call, answer) => {
  let messages = 0;
  let bytes = 0;
  call.on("data", (message: Buffer) => {
    messages++;
    bytes += message.length;
  });
  call.on("end", () => answer(null, Buffer.from(`${messages} ${bytes}`)));
};

const count: handleServerStreamingCall<Buffer, Buffer> = (call) => {
  const wanted = Number(call.request.toString());
  for (let i = 0; i < wanted; i++) call.write(Buffer.from(String(i)));
  call.end();
};

const chat: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
  call.on("data", (message: Buffer) => call.write(message));
  call.on("end", () => call.end());
};

const fail: handleUnaryCall<Buffer, Buffer> = (call, answer) => answer(wantedError(call.request));

const failLate: handleServerStreamingCall<Buffer, Buffer> = (call) => {
  call.write(Buffer.from("so far so good"));
  call.emit("error", wantedError(call.request));
};

const hang: handleUnaryCall<Buffer, Buffer> = (call) => tellOf(call);

const watch: handleServerStreamingCall<Buffer, Buffer> = (call) => {
  call.write(Buffer.from("watching"));
  tellOf(call);
};

/** Requests are `string service = 1`, answers `enum status = 1`, as bytes. */
const check: handleUnaryCall<Buffer, Buffer> = (call, answer) => {
  const service = call.request.subarray(2).toString();
  if (service === "") answer(null, Buffer.from([8, 1]));
  else if (service === "down") answer(null, Buffer.from([8, 2]));
  else answer(wantedError(Buffer.from("5 unknown service")));
};

function wantedError(request: Buffer) {
  const [code = "2", ...words] = request.toString().split(" ");
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from([0, 1, 254, 255]));
  return Object.assign(new Error(), { code: Number(code), details: words.join(" "), metadata });
}

function tellOf(call: ServerUnaryCall<Buffer, Buffer> | ServerWritableStream<Buffer, Buffer>): void {
  const name = call.request.toString();
  const deadline = call.getDeadline();
  const deadlineMs = Number.isFinite(Number(deadline)) ? Number(deadline) : null;
  // An event of every call, which the types do not know.
  (call as EventEmitter).on("cancelled", () => tell({ event: "cancelled", name, atMs: Date.now() }));
  tell({ event: "called", name, deadlineMs });
}

function tell(event: ServerEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

const options = JSON.parse(process.argv[3] ?? "{}");
const server = new Server({ "grpc.max_receive_message_length": -1, ...options });
server.addService(ORDERS, { echo, collect, count, chat, fail, failLate, hang, watch });
server.addService(HEALTH, { check });
server.bindAsync(process.argv[2] as string, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  tell({ event: "listening" });
});
