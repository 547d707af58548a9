/** One call of the own workload, or of a client of a gateway: what its route says becomes of it. */
import type { Fault } from "../../model/route.ts";
import type { ServiceInfo } from "../../model/call_info.ts";
import { FLAG } from "../../telemetry/response_flags.ts";
import type { Edge } from "../../telemetry/edge_metrics.ts";
import type { CompiledCluster } from "../cluster/cluster.ts";
import type { CompiledSnapshot } from "../compiled_snapshot.ts";
import type { HeaderList, RequestHead, ServerStream } from "../exchange.ts";
import { directResponse, faultAbort, LOCAL_REPLY, type LocalReply, redirect } from "../local_reply.ts";
import { ORIGINAL_PATH_HEADER } from "../mesh_headers.ts";
import { headBytes } from "../mesh_hop.ts";
import type {
  CompiledDestination,
  CompiledForward,
  CompiledMirror,
  CompiledRoute,
} from "../route/compiled_route.ts";
import type { CallSource, FormattedCall } from "../route/formatted_header_edits.ts";
import { normalPath } from "../route/normal_path.ts";
import { redirectLocation } from "../route/redirect.ts";
import { matchedBlock, pickDestination } from "../route/route_table.ts";
import { allowedOrigin, permitAnswer, preflightReply } from "./cors.ts";
import { ClusterExchange, type OutboundContext } from "./cluster_exchange.ts";
import { requestTimeoutMs } from "./grpc_timeout.ts";
import { Mirror, shadowAuthority } from "./mirror.ts";

type ClusterRoute = CompiledRoute<CompiledCluster>;

export class OutboundExchange extends ClusterExchange implements CallSource {
  #service: ServiceInfo | null = null;
  /** Once its filters let the request by. */
  #route: ClusterRoute | null = null;
  #destination: CompiledDestination<CompiledCluster> | null = null;
  /** Where copies of the request go, once it is complete. */
  #mirrors: readonly CompiledMirror<CompiledCluster>[] = NO_MIRRORS;
  /** Of the request, where the route's CORS policy allows it. */
  #origin: string | null = null;
  /** A fault was injected: neither timeout nor retries are in force, as in Istio. */
  #faulted = false;

  // Written down, as that of GuardedExchange.
  constructor(
    context: OutboundContext,
    snapshot: CompiledSnapshot,
    stream: ServerStream,
    head: RequestHead,
    ended: boolean,
  ) {
    super(context, snapshot, stream, head, ended);
  }

  /** Does what the route says, for a request that met it. */
  follow(route: ClusterRoute, service: ServiceInfo): void {
    this.#service = service;
    const { fault } = route;
    if (fault === null) return this.#act(route);
    const { delay } = fault;
    if (delay === null || !this.#draws(delay.percentage)) return this.#abortOrAct(route, fault);
    this.#faulted = true;
    this.flag(FLAG.delayInjected);
    this.countOn(this.#unserved);
    this.wait(delay.fixedMs, () => this.#abortOrAct(route, fault));
  }

  #abortOrAct(route: ClusterRoute, { abort }: Fault): void {
    if (abort !== null && this.#draws(abort.percentage)) this.reply(faultAbort(abort), this.#unserved);
    else this.#act(route);
  }

  #act(route: ClusterRoute): void {
    const { head } = this;
    const { cors, action } = route;
    if (cors !== null) {
      const origin = allowedOrigin(cors, head);
      const preflight = preflightReply(cors, head, origin);
      if (preflight !== null) return this.reply(preflight, this.#unserved);
      this.#origin = origin;
    }
    this.#route = route;
    if (action.type === "forward") return this.#forward(route, action);
    const answer = action.type === "redirect"
      ? redirect(action.code, redirectLocation(action, head, matchedBlock(route, head)))
      : directResponse(action.status, action.body);
    this.reply(answer, this.#unserved);
  }

  #forward(route: ClusterRoute, action: CompiledForward<CompiledCluster>): void {
    const destination = pickDestination(action, this.context.random);
    const cluster = destination.target;
    if (cluster === null) return this.reply(LOCAL_REPLY.noCluster, this.#unserved);
    this.#destination = destination;
    const refusal = this.#edit(route, action, destination);
    if (refusal !== null) return this.reply(refusal, cluster.unserved);
    if (!this.#faulted) {
      this.retries = action.retries;
      this.timeoutMs = requestTimeoutMs(action.timeoutMs, this.head, this.isGrpc);
    }
    const mirrors = action.changes?.mirrors ?? NO_MIRRORS;
    if (mirrors.length > 0 && (this.head.tunnel ?? null) === null) {
      this.#mirrors = mirrors.filter(({ percentage }) => this.#draws(percentage));
    }
    this.sendBy(cluster);
  }

  /** Brings the request into the form in which it goes upstream; returns the answer where that has no form. */
  #edit(
    route: ClusterRoute,
    { changes }: CompiledForward<CompiledCluster>,
    { requestEdits, authority }: CompiledDestination<CompiledCluster>,
  ): LocalReply | null {
    const { head } = this;
    // What the rewrite replaces depends on the conditions that held, and edits may change what they look at.
    const path = changes?.path?.apply(head.path, matchedBlock(route, head));
    requestEdits?.apply(head.headers, this);
    route.requestEdits?.apply(head.headers, this);
    head.authority = changes?.authority ?? authority ?? head.authority;
    if (path !== undefined && head.path.startsWith("/")) {
      if (typeof path !== "string") return path;
      const normal = normalPath(path, this.snapshot.settings.pathNormalization);
      if (typeof normal !== "string") return normal;
      head.headers.push(ORIGINAL_PATH_HEADER, head.path);
      head.path = normal;
    }
    this.keepFields();
    // What rules, tokens and those who are asked add has no bound, and a peer ends the connection over a head that is far
    // too large, under everybody who shares it.
    const grown = path !== undefined || requestEdits !== null || route.requestEdits !== null ||
      head.auth !== undefined || this.verdict !== null;
    return grown && headBytes(head) > this.context.headBytesMax ? LOCAL_REPLY.headTooLarge : null;
  }

  protected override onRequestComplete(): void {
    super.onRequestComplete();
    if (this.#mirrors.length > 0) this.#mirror();
  }

  protected override editAnswer(headers: HeaderList): void {
    super.editAnswer(headers);
    const route = this.#route;
    if (route === null) return;
    this.#destination?.responseEdits?.apply(headers, this);
    route.responseEdits?.apply(headers, this);
    if (route.cors !== null && this.#origin !== null) permitAnswer(route.cors, this.#origin, headers);
  }

  formattedCall(headers: HeaderList): FormattedCall {
    const { head, clientAddress, startedMs, status } = this;
    return { head, clientAddress, startedMs, answer: status === 0 ? null : { status, headers } };
  }

  protected override get keepsBody(): boolean {
    return this.#mirrors.length > 0;
  }

  /** Counts what went to no cluster. */
  get #unserved(): Edge {
    return this.snapshot.unserved(this.#service as ServiceInfo);
  }

  #draws(percentage: number): boolean {
    return this.context.random.float() * 100 < percentage;
  }

  /** Sends the copies; of a body that is not all there any more there are none. */
  #mirror(): void {
    const { head, body, trailers } = this;
    const mirrors = this.#mirrors;
    this.#mirrors = NO_MIRRORS;
    if (body?.lost) return;
    for (const { target: cluster } of mirrors) {
      const endpoint = cluster?.pick() ?? null;
      const to = cluster !== null && endpoint !== null ? this.targetAt(cluster, endpoint) : null;
      if (endpoint === null || to === null) continue;
      const headers = head.headers.slice(0, this.fieldCount);
      this.addMeshFields(headers, endpoint);
      Mirror.send(this.context, to, {
        head: { ...head, authority: shadowAuthority(head.authority), headers },
        body: this.bodiless ? null : [...body?.chunks ?? []],
        trailers,
        timeoutMs: this.timeoutMs,
      });
    }
  }
}

const NO_MIRRORS: readonly CompiledMirror<CompiledCluster>[] = [];
