/**
 * What proxies ask of the control plane on port 15012. Enrolment takes a join token; everything after it takes the
 * certificate that TLS proved, never anything that a body claims. Refusals are opaque to the caller, precise in the log.
 */
import { Hono } from "hono";
import { type CallStore, isOf } from "../../mixer/call_store.ts";
import type { ReportingPeer, TelemetryStore } from "../../mixer/telemetry_store.ts";
import { validateTap } from "../../mixer/tap_validation.ts";
import { REPORT_BYTES_MAX, validateReport } from "../../mixer/report_validation.ts";
import { parseSpiffeId } from "../../model/spiffe_id.ts";
import type { DiscoveryServer } from "../../pilot/discovery/discovery_server.ts";
import { addCertificatePaths, type CertificateApiOptions } from "./certificate_api.ts";
import { DiscoveryStream } from "./discovery_stream.ts";
import type { PeerHandler } from "./fetch_bridge.ts";
import { LargePushes } from "./large_pushes.ts";
import type { OpenStream } from "./mtls_endpoint.ts";
import { answer, type PeerEnvironment, type ProxyContext, refuse, refusePeer } from "./proxy_answers.ts";
import { readJson } from "./read_body.ts";
import type { TapHub } from "../tap_hub.ts";

export interface ProxyApiOptions extends CertificateApiOptions {
  readonly discovery: DiscoveryServer;
  readonly store: TelemetryStore;
  readonly calls: CallStore;
  readonly tap: TapHub;
}

/** Where a discovery stream is opened, by POST. */
const DISCOVERY_PATH = "/v1/discovery";

export interface ProxyApi {
  /** The peer is passed as the app's bindings. */
  readonly handler: PeerHandler;
  readonly openStream: OpenStream;
}

/** What port 15012 answers. */
export function createProxyApi(options: ProxyApiOptions): ProxyApi {
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

  // Whoever may open a stream and sends a body has one already.
  app.post(DISCOVERY_PATH, (context) => {
    if (context.env.spiffeId === null || revoked(context)) return refusePeer(context);
    return refuse(context, 400, "body_required", "The stream has no body");
  });

  app.notFound((context) => refuse(context, 404, "not_found", "There is nothing here"));
  return {
    handler: (request, peer) => app.fetch(request, peer),
    openStream: (stream, { method, path }, peer) => {
      const { spiffeId, serial } = peer;
      if (method !== "POST" || path.split("?")[0] !== DISCOVERY_PATH) return null;
      if (spiffeId === null || (serial !== null && citadel.isRevoked(serial))) return null;
      return new DiscoveryStream(stream, { ...peer, spiffeId }, { ...options, largePushes });
    },
  };
}

function reportingPeer(spiffeId: string): ReportingPeer {
  return { namespace: parseSpiffeId(spiffeId)?.namespace ?? "", principal: spiffeId };
}
