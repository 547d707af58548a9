/**
 * What proxies ask of the control plane on port 15012. Enrolment takes a join token; everything after it takes the
 * certificate that TLS proved, never anything that a body claims. Refusals are opaque to the caller, precise in the log.
 */
import { Hono } from "hono";
import { messageOf } from "../lib/message_of.ts";
import { type CallStore, isOf } from "../mixer/call_store.ts";
import type { ReportingPeer, TelemetryStore } from "../mixer/telemetry_store.ts";
import { validateTap } from "../mixer/tap_validation.ts";
import { REPORT_BYTES_MAX, validateReport } from "../mixer/report_validation.ts";
import { LineReader, LineTooLongError } from "../lib/line_reader.ts";
import type { Hello, ProxyMessage } from "../model/discovery.ts";
import { parseSpiffeId } from "../model/spiffe_id.ts";
import type { DiscoveryServer } from "../pilot/discovery_server.ts";
import type { DiscoverySession } from "../pilot/discovery_session.ts";
import { addCertificatePaths, type CertificateApiOptions } from "./certificate_api.ts";
import type { Peer } from "./fetch_bridge.ts";
import { LargePushes } from "./large_pushes.ts";
import { OutgoingMessages } from "./outgoing_messages.ts";
import { answer, type PeerEnvironment, type ProxyContext, refuse, refusePeer } from "./proxy_answers.ts";
import { readJson } from "./read_body.ts";
import type { TapHub } from "./tap_hub.ts";

/** A hello names every resource that the proxy knows; acknowledgements are short. */
const PROXY_LINE_BYTES_MAX = 16 * 1024 * 1024;

export interface ProxyApiOptions extends CertificateApiOptions {
  readonly discovery: DiscoveryServer;
  readonly store: TelemetryStore;
  readonly calls: CallStore;
  readonly tap: TapHub;
}

/** The handler of port 15012; the peer is passed as the app's bindings. */
export function createProxyApi(
  options: ProxyApiOptions,
): (request: Request, peer: Peer) => Response | Promise<Response> {
  const { citadel, log } = options;
  const largePushes = new LargePushes(options.clock);
  const app = new Hono<PeerEnvironment>();
  const revoked = ({ env }: ProxyContext) => env.serial !== null && citadel.isRevoked(env.serial);

  addCertificatePaths(app, options);

  app.post("/v1/report", (context) =>
    answer(context, log, async () => {
      const { spiffeId } = context.env;
      if (spiffeId === null || revoked(context)) return refusePeer(context);
      const report = validateReport(await readJson(context.req.raw, REPORT_BYTES_MAX));
      const peer = reportingPeer(spiffeId);
      const refused = options.store.add(report, peer);
      if (refused > 0) {
        log.warn("Left out reported edges that are not the peer's own", { peer: spiffeId, refused });
      }
      if (report.calls !== undefined && !options.calls.add(report.calls, peer)) {
        const { workload } = report.calls;
        log.warn("Left out reported calls to a workload of another namespace", { peer: spiffeId, workload });
      }
      return context.body(null, 204);
    }));

  app.post("/v1/tap", (context) =>
    answer(context, log, async () => {
      const { spiffeId } = context.env;
      if (spiffeId === null || revoked(context)) return refusePeer(context);
      const report = validateTap(await readJson(context.req.raw, REPORT_BYTES_MAX));
      if (!isOf(report.workload, reportingPeer(spiffeId))) {
        return refuse(context, 403, "not_yours", "The calls are those of another workload");
      }
      options.tap.add(report);
      return context.body(null, 204);
    }));

  app.post("/v1/discovery", (context) => {
    const { spiffeId } = context.env;
    if (spiffeId === null || revoked(context)) return refusePeer(context);
    const { body } = context.req.raw;
    if (body === null) return refuse(context, 400, "body_required", "The stream has no body");
    const stream = serveDiscovery(body, { ...context.env, spiffeId }, options, largePushes);
    return new Response(stream, { headers: { "content-type": "application/jsonl" } });
  });

  app.notFound((context) => refuse(context, 404, "not_found", "There is nothing here"));
  return (request, peer) => app.fetch(request, peer);
}

function reportingPeer(spiffeId: string): ReportingPeer {
  return { namespace: parseSpiffeId(spiffeId)?.namespace ?? "", principal: spiffeId };
}

/** Joins the two halves of a discovery stream to a session of the discovery server. */
function serveDiscovery(
  body: ReadableStream<Uint8Array>,
  peer: Peer & { readonly spiffeId: string },
  { citadel, discovery, log }: ProxyApiOptions,
  largePushes: LargePushes,
): ReadableStream<Uint8Array> {
  let session: DiscoverySession | null = null;
  let over = false;
  const outgoing = new OutgoingMessages(largePushes, () => {
    over = true;
    session?.close();
  });
  const end = (reason: string) => {
    if (over) return;
    over = true;
    log.info("Ended a discovery stream", { peer: peer.spiffeId, reason });
    session?.close();
    outgoing.end();
  };
  const receive = (message: ProxyMessage | Hello) => {
    if (session !== null) {
      if (message.type === "certificate") citadel.hold(session.hello.workload, message.serial);
      return session.receive(message as ProxyMessage);
    }
    if (!isHello(message)) return end("The first message is no hello");
    // A workload that does not say where it is, is where its connection comes from.
    const hello = message.address === "" ? { ...message, address: peer.address } : message;
    outgoing.unpacks = hello.unpacks === true;
    session = discovery.connect(hello, peer.spiffeId, (sent) => outgoing.send(sent), end);
    if (session !== null && hello.certificate !== undefined) {
      citadel.hold(session.hello.workload, hello.certificate);
    }
  };
  void readMessages(body, receive, () => over).then(end, (error) => end(reasonOf(error)));
  return outgoing.stream;
}

/** Hands on each line's message; resolves with why it ended. */
async function readMessages(
  body: ReadableStream<Uint8Array>,
  receive: (message: ProxyMessage) => void,
  isOver: () => boolean,
): Promise<string> {
  const lines = new LineReader(PROXY_LINE_BYTES_MAX);
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    for (const line of lines.push(chunk)) {
      if (isOver()) return "The stream is over";
      receive(JSON.parse(line) as ProxyMessage);
    }
  }
  return "The proxy closed the stream";
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
  if (error instanceof SyntaxError) return "A line is not JSON";
  return messageOf(error);
}
