/**
 * Two data planes, the caller's and the callee's, joined by the mesh hop, with a client in front and upstreams behind:
 * whatever is on its way moves piece by piece, in an order that a seed says.
 */
import type { Prng } from "../../src/lib/prng.ts";
import type { ForwardAction } from "../../src/model/route.ts";
import { InboundAcceptor } from "../../src/proxy/filters/inbound.ts";
import { Reception } from "../../src/proxy/listener/reception.ts";
import { policyPeer } from "../../src/proxy/policy/policy_call.ts";
import {
  type Address,
  NOBODY,
  type TlsWire,
  type TlsWireOwner,
  type Wire,
  type WireOwner,
} from "../../src/runtime/wire.ts";
import { TestAuthority } from "../unit/identity/odd_certificates.ts";
import {
  CALLER_ID,
  cluster,
  DataPlane,
  endpoint,
  listener,
  SERVICE,
  settings,
  SHOP_ID,
  snapshotOf,
  virtualHost,
  workload,
} from "../unit/proxy/data_plane.ts";
import { type FakeConnection, OTHER_NAME } from "../unit/proxy/fake_network.ts";
import { forward } from "../unit/proxy/routed_plane.ts";
import { latin1, settle } from "../unit/proxy/fake_wire.ts";

const authority = await TestAuthority.make();
const certificate = await authority.issue({
  names: [{ type: "url", value: SHOP_ID }],
  // Much time passes in some cases.
  notAfterMs: Date.now() + 365 * 86_400_000,
});

/** Deliveries for one case; more is a message that goes round in circles. */
const DELIVERIES_MAX = 20_000;

/** Longer than the first back-off of a retry. */
const RETRY_MS = 50;
/** What waits between two ends at most. */
const KERNEL_BYTES = 200_000;
/** Turns of the event loop in which nothing is under way: what is written leaves a turn later. */
const QUIET_TURNS = 3;

/** One end of a connection. What is written waits at the other end until it is delivered. */
export class End implements Wire {
  readonly remoteAddress = "192.0.2.9";
  readonly remotePort = 40_000;
  readonly localAddress = "192.0.2.1";
  readonly localPort = 15_001;
  readonly fd = 10;
  data: WireOwner = NOBODY;
  peer!: End;
  closed = false;
  #inbox: (Buffer | "end" | "reset" | "gone")[] = [];
  #inboxBytes = 0;
  /** The kernel took less than it was given: it says when it takes more. */
  #blocked = false;
  #paused = false;
  #shut = false;
  #peerEnded = false;

  static pair(): [End, End] {
    const [a, b] = [new End(), new End()];
    a.peer = b;
    b.peer = a;
    return [a, b];
  }

  write(data: Uint8Array, offset = 0, length = data.length - offset): number {
    if (this.closed || this.#shut) return -1;
    if (this.peer.closed) return length;
    const taken = Math.min(length, Math.max(0, KERNEL_BYTES - this.peer.#inboxBytes));
    if (taken < length) this.#blocked = true;
    if (taken > 0) this.peer.#inbox.push(Buffer.from(data.subarray(offset, offset + taken)));
    this.peer.#inboxBytes += taken;
    return taken;
  }

  /** However much it is. */
  say(text: string): void {
    if (this.closed || this.#shut || this.peer.closed) return;
    this.peer.#inbox.push(latin1(text));
    this.peer.#inboxBytes += text.length;
  }

  shutdown(): void {
    if (this.closed || this.#shut) return;
    this.#shut = true;
    this.peer.#inbox.push("end");
  }

  end(): void {
    this.shutdown();
    if (this.#peerEnded) this.#inbox.push("gone");
  }

  terminate(): void {
    if (this.closed) return;
    this.closed = true;
    this.#inbox = ["gone"];
    if (!this.peer.closed) this.peer.#inbox.push("reset");
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  get isReady(): boolean {
    return this.#inbox.length > 0 &&
      (!this.#paused || this.#inbox[0] === "gone" || this.#inbox[0] === "reset");
  }

  /** The next thing that came, or a part of it. */
  deliver(random: Prng): void {
    const next = this.#inbox.shift();
    if (next === "gone" || next === "reset") return this.#close(next);
    if (this.closed || next === undefined) return;
    if (next === "end") {
      this.#peerEnded = true;
      if (this.#shut) this.#close("gone");
      else this.data.onEnd();
      return;
    }
    const whole = next.length === 1 || random.below(3) > 0;
    const size = whole ? next.length : 1 + random.below(next.length - 1);
    if (size < next.length) this.#inbox.unshift(next.subarray(size));
    this.#inboxBytes -= size;
    if (this.peer.#blocked) {
      this.peer.#blocked = false;
      this.peer.data.onDrain();
    }
    this.data.onData(Buffer.from(next.subarray(0, size)));
  }

  #close(how: "gone" | "reset"): void {
    this.closed = true;
    this.#inbox = [];
    const owner = this.data;
    this.data = NOBODY;
    owner.onClose(how === "reset" ? new Error("ECONNRESET") : undefined);
  }
}

/** What a client reads, and how its connection ended. */
export class Reader implements WireOwner {
  text = "";
  ended = false;
  /** By a reset. */
  broken = false;

  onData(chunk: Buffer): void {
    this.text += chunk.toString("latin1");
  }

  onDrain(): void {}

  onEnd(): void {
    this.ended = true;
  }

  onClose(error?: Error): void {
    this.broken ||= error !== undefined;
    this.ended = true;
  }
}

export const NOTHING_HELD = { active: 0, inFlight: 0, clients: 0, replay: 0, mirrors: 0 };

/** Takes the connections that the callee makes to its own workload. */
export type Workload = (end: End) => WireOwner;

export class JoinedPlanes {
  readonly caller: DataPlane;
  readonly callee: DataPlane;
  readonly #random: Prng;
  readonly #workload: Workload;
  readonly #ends: End[] = [];
  readonly #reception: Reception;
  readonly #taken = new Map<DataPlane, number>();

  /** `protocol`: what the workload speaks. `more`: of the caller's one route. */
  constructor(
    random: Prng,
    accept: Workload,
    protocol: "http1" | "http2" = "http1",
    more: Partial<ForwardAction> = {},
  ) {
    this.#random = random;
    this.#workload = accept;
    const action = forward(more);
    this.caller = new DataPlane(snapshotOf(
      settings(),
      virtualHost({ routes: [{ name: null, origin: null, matches: [], action }] }),
      listener({ protocol: "tcp" }),
      cluster(),
      { kind: "endpoints", name: cluster().name, endpoints: [endpoint(1, true)] },
    ));
    this.callee = new DataPlane(snapshotOf(settings({
      workload: workload("shop-1", SHOP_ID),
      inbound: [{ port: 8080, service: SERVICE, protocol }],
    })));
    this.#reception = new Reception(this.callee.gate, this.callee.wheel, "inbound");
  }

  /** A client that dials the caller's sidecar, or an address on the way to which it is captured. */
  client(owner: WireOwner, destination: Address | null = null): End {
    const [client, proxy] = this.#pair();
    client.data = owner;
    proxy.data = this.caller.outbound(destination).accept(proxy) ?? NOBODY;
    return client;
  }

  /** Lets so many things happen of those that are under way. */
  async step(count: number): Promise<void> {
    await this.#deliver(count);
  }

  /** Lets everything happen that is under way, and whatever waits for a moment before it tries again. */
  async settle(): Promise<void> {
    await this.#deliver();
    await this.pass(RETRY_MS);
  }

  /** Time passes. */
  async pass(ms: number): Promise<void> {
    for (const { clock } of [this.caller, this.callee]) clock.advance(ms);
    await this.#deliver();
  }

  async #deliver(most = DELIVERIES_MAX): Promise<void> {
    let quiet = 0;
    for (let i = 0; i < most && quiet < QUIET_TURNS; i++) {
      this.#connect(this.caller, (one) => this.#hop(one));
      this.#connect(this.callee, (one) => this.#toWorkload(one));
      await settle();
      const ready = this.#ends.filter((end) => end.isReady);
      quiet = ready.length === 0 ? quiet + 1 : 0;
      if (quiet > 0) continue;
      (ready[this.#random.below(ready.length)] as End).deliver(this.#random);
      if (i % 64 === 0) this.#forgetClosed();
    }
    if (most === DELIVERIES_MAX && quiet < QUIET_TURNS) throw new Error("It never comes to rest");
  }

  #pair(): [End, End] {
    const pair = End.pair();
    this.#ends.push(...pair);
    return pair;
  }

  #forgetClosed(): void {
    const open = this.#ends.filter((end) => !end.closed || end.isReady);
    this.#ends.splice(0, this.#ends.length, ...open);
  }

  #connect(plane: DataPlane, join: (one: FakeConnection) => void): void {
    const { attempts } = plane.network;
    for (let i = this.#taken.get(plane) ?? 0; i < attempts.length; i++) join(attempts[i] as FakeConnection);
    this.#taken.set(plane, attempts.length);
  }

  #hop(attempt: FakeConnection): void {
    if (attempt.tls === null) return attempt.refuse();
    const [near, far] = this.#pair();
    far.data = this.#reception.http2(far, this.#inbound());
    Object.assign(near, { getPeerCertificate: () => ({ raw: certificate.der }), alpnProtocol: "h2" });
    near.data = attempt.on.opened(near);
    (near.data as TlsWireOwner).onHandshake(near as unknown as TlsWire, OTHER_NAME);
  }

  #toWorkload(attempt: FakeConnection): void {
    const [near, far] = this.#pair();
    far.data = this.#workload(far);
    near.data = attempt.on.opened(near);
  }

  #inbound(): InboundAcceptor {
    const { callee } = this;
    const { edges, calls, descriptions } = callee;
    return new InboundAcceptor(
      {
        ...{ ...callee.exchanges, edges, calls, descriptions, current: () => callee.compiled },
        admits: () => true,
        readRequests: (...them) => this.#reception.requests(...them),
      },
      policyPeer(CALLER_ID, "192.0.2.9"),
      "00ff",
    );
  }

  /** What is still held of requests and connections of clients, of either plane. */
  get held(): typeof NOTHING_HELD {
    const { caller, callee } = this;
    return {
      active: caller.active + callee.active,
      inFlight: caller.inFlight.count + callee.inFlight.count,
      clients: caller.gate.proven + caller.gate.unproven,
      replay: caller.exchanges.replay.bytes + callee.exchanges.replay.bytes,
      mirrors: caller.exchanges.mirrors.count,
    };
  }
}
