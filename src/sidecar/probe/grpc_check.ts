/** Health as gRPC servers tell it (`grpc.health.v1.Health/Check`, in plain text): SERVING is good. */
import { formatAuthority } from "../../lib/authority.ts";
import { headerValue } from "../../proxy/exchange.ts";
import type { ProbeMethod } from "../../model/health_probe.ts";
import { singleCall } from "../single_call.ts";
import type { CheckContext } from "./check_context.ts";

type GrpcMethod = Extract<ProbeMethod, { type: "grpc" }>;

/** An answer is one number; a longer one is none. */
const ANSWER_BYTES_MAX = 4096;

/** A message: whether it is compressed, and its length. */
const PREFIX_BYTES = 5;

/** HealthCheckResponse.ServingStatus. */
const STATUSES = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const SERVING = 1;

/** Rejects with what is wrong. */
export async function checkGrpc(
  { port, service }: GrpcMethod,
  timeoutMs: number,
  { workloadAddress: hostname, clock, wheel }: CheckContext,
): Promise<string | null> {
  const address = { hostname, port };
  const body = encodeRequest(service);
  const { status, headers, trailers, body: answer } = await singleCall({
    address,
    tls: false,
    protocol: "http2",
    head: {
      method: "POST",
      scheme: "http",
      authority: formatAuthority(address),
      path: "/grpc.health.v1.Health/Check",
      headers: ["content-type", "application/grpc", "user-agent", "bowline-probe"],
      bodyLength: body.length,
    },
    body,
    until: "end",
    bytesMax: ANSWER_BYTES_MAX,
    timeoutMs,
    clock,
    wheel,
  });
  if (status !== 200) return `it answered ${status}`;
  const code = headerValue(trailers ?? headers, "grpc-status");
  if (code !== "0") return `it answered gRPC status ${code ?? "none"}`;
  const serving = readStatus(answer);
  if (serving === undefined) return "its answer is no HealthCheckResponse";
  return serving === SERVING ? null : `it says ${STATUSES[serving] ?? serving}`;
}

/** A HealthCheckRequest (`string service = 1`) as a gRPC message. */
export function encodeRequest(service: string): Uint8Array {
  const name = new TextEncoder().encode(service);
  const message = name.length === 0 ? [] : [1 << 3 | 2, ...varint(name.length), ...name];
  const bytes = new Uint8Array(PREFIX_BYTES + message.length);
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, PREFIX_BYTES);
  return bytes;
}

/** The `status` (enum, field 1) of a HealthCheckResponse; undefined when the bytes are none. Other fields are ignored. */
export function readStatus(bytes: Uint8Array): number | undefined {
  if (bytes.length < PREFIX_BYTES || bytes[0] !== 0) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  if (bytes.length !== PREFIX_BYTES + length) return undefined;
  const reader = new MessageReader(bytes.subarray(PREFIX_BYTES));
  let status = 0;
  while (!reader.atEnd) {
    const key = reader.varint();
    if (key === 1 << 3) status = reader.varint();
    else reader.skip(key & 7);
  }
  return reader.failed ? undefined : status;
}

/** Fields of a protobuf message, as far as it is needed to step over those that are not known. */
class MessageReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.failed || this.#at >= this.#bytes.length;
  }

  /** Exact up to 2^53; at most ten bytes. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    this.failed = true;
    return 0;
  }

  /** Steps over a value of a wire type. */
  skip(type: number): void {
    if (type === 0) this.varint();
    else if (type === 1) this.#at += 8;
    else if (type === 2) {
      const length = this.varint();
      this.#at += length;
    } else if (type === 5) this.#at += 4;
    else this.failed = true;
    if (this.#at > this.#bytes.length) this.failed = true;
  }
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value;; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push(rest % 128 | 0x80);
  }
}
