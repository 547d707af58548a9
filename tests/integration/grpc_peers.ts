/** Both ends of a gRPC call: servers as processes of node, and a client for every kind of call. */
import { join } from "node:path";
import {
  type CallOptions,
  Client,
  type ClientReadableStream,
  type connectivityState,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  type StatusObject,
} from "@grpc/grpc-js";
import { afterwards, until } from "./bowline.ts";
import { ORDERS, type ServerEvent } from "./grpc_service.ts";

type Method = MethodDefinition<Buffer, Buffer>;
/** Options of a channel, such as `grpc.keepalive_time_ms`. */
export type ChannelNumbers = Readonly<Record<string, number>>;

/** Makes one JavaScript file of the server, since node runs no TypeScript; returns its path. */
export async function bundleServer(directory: string): Promise<string> {
  const entrypoints = [join(import.meta.dirname, "grpc_server.ts")];
  await Bun.build({ entrypoints, outdir: directory, target: "node", format: "cjs", throw: true });
  return join(directory, "grpc_server.js");
}

export class GrpcServer {
  readonly events: ServerEvent[] = [];
  readonly #child: Bun.Subprocess<"ignore", "pipe", "inherit">;

  constructor(program: string, address: string, options: ChannelNumbers = {}) {
    this.#child = Bun.spawn(["node", program, address, JSON.stringify(options)], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    afterwards(() => this.kill());
    void this.#read();
  }

  static async start(program: string, address: string, options?: ChannelNumbers): Promise<GrpcServer> {
    const server = new GrpcServer(program, address, options);
    await server.hears("listening", undefined);
    return server;
  }

  /** The event of that kind for the call of that name, as soon as it is there. */
  async hears<Kind extends ServerEvent["event"]>(
    kind: Kind,
    name: string | undefined,
  ): Promise<Extract<ServerEvent, { event: Kind }>> {
    const find = () =>
      this.events.find((one) => one.event === kind && (one as { name?: string }).name === name);
    await until(`the gRPC server says ${kind} ${name}`, () => find() !== undefined);
    return find() as Extract<ServerEvent, { event: Kind }>;
  }

  get pid(): number {
    return this.#child.pid;
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #read(): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.events.push(JSON.parse(line) as ServerEvent);
    }
  }
}

/** How a call ended, with all that came of it. */
export interface Outcome {
  /** Number of the status. */
  readonly code: number;
  readonly details: string;
  readonly messages: readonly Buffer[];
  /** What came before the first message. */
  readonly initial: Metadata | null;
  readonly trailers: Metadata;
}

/** A call of any kind, by its client. */
export interface Call {
  send(message: Uint8Array | string): void;
  end(): void;
  cancel(): void;
  /** Resolves as soon as so many messages have come. */
  received(count: number): Promise<void>;
  readonly outcome: Promise<Outcome>;
}

export interface CallSettings {
  readonly metadata?: Metadata;
  /** Milliseconds from now. */
  readonly deadlineInMs?: number;
}

/** A client that calls a host of the mesh by the sidecar at `sidecar`. */
export class GrpcClient {
  readonly #client: Client;

  constructor(sidecar: string, authority: string, options: ChannelNumbers = {}) {
    this.#client = new Client(`${sidecar}:15001`, credentials.createInsecure(), {
      "grpc.default_authority": authority,
      "grpc.max_receive_message_length": -1,
      "grpc.use_local_subchannel_pool": 1,
      ...options,
    });
  }

  /** One message there, and whatever comes back. */
  async call(
    method: Method,
    message: Uint8Array | string = "",
    settings: CallSettings = {},
  ): Promise<Outcome> {
    return await this.start(method, message, settings).outcome;
  }

  /** A call whose request is one message, or, without one, a stream. */
  start(method: Method, message?: Uint8Array | string, settings: CallSettings = {}): Call {
    const { metadata = new Metadata(), deadlineInMs } = settings;
    const options: CallOptions = deadlineInMs === undefined ? {} : { deadline: Date.now() + deadlineInMs };
    const stream = this.#client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      metadata,
      options,
    );
    const messages: Buffer[] = [];
    if (message !== undefined) {
      stream.write(Buffer.from(message as string));
      stream.end();
    }
    return {
      send: (one) => void stream.write(Buffer.from(one as string)),
      end: () => void stream.end(),
      cancel: () => stream.cancel(),
      received: async (count) => {
        while (messages.length < count) await new Promise((resolve) => stream.once("data", resolve));
      },
      outcome: ending(stream, messages),
    };
  }

  /** Of the connection to the sidecar. */
  get state(): connectivityState {
    return this.#client.getChannel().getConnectivityState(false);
  }

  close(): void {
    this.#client.close();
  }
}

function ending(stream: ClientReadableStream<Buffer>, messages: Buffer[]): Promise<Outcome> {
  let initial: Metadata | null = null;
  stream.on("metadata", (metadata: Metadata) => initial = metadata);
  stream.on("data", (message: Buffer) => messages.push(message));
  // The status tells the same.
  stream.on("error", (_: ServiceError) => {});
  return new Promise((resolve) => {
    stream.on("status", ({ code, details, metadata }: StatusObject) => {
      resolve({ code, details, messages, initial, trailers: metadata });
    });
  });
}

export { ORDERS };
