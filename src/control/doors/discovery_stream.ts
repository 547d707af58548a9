/**
 * A discovery stream, on the codec itself: one request and its answer that last as long as the proxy. Thousands of them
 * stand at once, and what Fetch has for each, two streams with their readers and promises, would be most of their memory.
 */
import type { Citadel } from "../../citadel/citadel.ts";
import { LineReader, LineTooLongError } from "../../lib/line_reader.ts";
import { messageOf } from "../../lib/message_of.ts";
import type { Hello, ProxyMessage } from "../../model/discovery.ts";
import type { DiscoveryServer } from "../../pilot/discovery/discovery_server.ts";
import type { DiscoverySession } from "../../pilot/discovery/discovery_session.ts";
import {
  BODY_LENGTH_UNKNOWN,
  type ResetReason,
  type ServerHandler,
  type ServerStream,
} from "../../proxy/exchange.ts";
import type { Log } from "../../telemetry/log.ts";
import type { ProvenPeer } from "./fetch_bridge.ts";
import type { LargePushes } from "./large_pushes.ts";
import { OutgoingMessages } from "./outgoing_messages.ts";

/** A hello names every resource that the proxy knows; acknowledgements are short. */
const PROXY_LINE_BYTES_MAX = 16 * 1024 * 1024;

export interface DiscoveryStreamOptions {
  readonly citadel: Citadel;
  readonly discovery: DiscoveryServer;
  readonly log: Log;
  /** Shared by all streams. */
  readonly largePushes: LargePushes;
}

/** Joins the two halves of the stream to a session of the discovery server. */
export class DiscoveryStream implements ServerHandler {
  readonly #options: DiscoveryStreamOptions;
  readonly #peer: ProvenPeer;
  readonly #lines = new LineReader(PROXY_LINE_BYTES_MAX);
  readonly #outgoing: OutgoingMessages;
  #session: DiscoverySession | null = null;
  #over = false;

  /** Answers at once. */
  constructor(
    stream: ServerStream,
    peer: ProvenPeer,
    options: DiscoveryStreamOptions,
  ) {
    this.#options = options;
    this.#peer = peer;
    this.#outgoing = new OutgoingMessages(stream, options.largePushes);
    const headers = ["content-type", "application/jsonl"];
    stream.respond({ status: 200, headers, bodyLength: BODY_LENGTH_UNKNOWN });
  }

  onRequestBody(chunk: Uint8Array): void {
    try {
      for (const line of this.#over ? [] : this.#lines.push(chunk)) {
        if (!this.#over) this.#receive(JSON.parse(line) as ProxyMessage | Hello);
      }
    } catch (error) {
      this.#end(reasonOf(error));
    }
  }

  onRequestEnd(): void {
    this.#end("The proxy closed the stream");
  }

  onDownstreamReset(reason: ResetReason): void {
    this.#outgoing.cancel();
    this.#end(`The peer broke off: ${reason}`);
  }

  onDownstreamWritable(): void {
    this.#outgoing.onWritable();
  }

  #receive(message: ProxyMessage | Hello): void {
    const { citadel } = this.#options;
    if (this.#session !== null) {
      if (message.type === "certificate") citadel.hold(this.#session.hello.workload, message.serial);
      return this.#session.receive(message as ProxyMessage);
    }
    if (!isHello(message)) return this.#end("The first message is no hello");
    // A workload that does not say where it is, is where its connection comes from.
    const hello = message.address === "" ? { ...message, address: this.#peer.address } : message;
    this.#outgoing.unpacks = hello.unpacks === true;
    this.#session = this.#options.discovery.connect(
      hello,
      this.#peer.spiffeId,
      (sent) => this.#outgoing.send(sent),
      (reason) => this.#end(reason),
    );
    if (this.#session !== null && hello.certificate !== undefined) {
      citadel.hold(this.#session.hello.workload, hello.certificate);
    }
  }

  #end(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#options.log.info("Ended a discovery stream", { peer: this.#peer.spiffeId, reason });
    this.#session?.close();
    this.#outgoing.end();
  }
}

/** A hello as far as its form goes; what it says is the discovery server's to judge. */
function isHello(message: ProxyMessage | Hello): message is Hello {
  if (message?.type !== "hello") return false;
  const { protocol, version, role, workload, address, meshPort, known } = message;
  return typeof protocol === "number" && typeof version === "string" &&
    (role === "sidecar" || role === "gateway") &&
    typeof workload === "string" && typeof address === "string" && typeof meshPort === "number" &&
    typeof known === "object" && known !== null;
}

function reasonOf(error: unknown): string {
  if (error instanceof LineTooLongError) return error.message;
  return error instanceof SyntaxError ? "A line is not JSON" : messageOf(error);
}
