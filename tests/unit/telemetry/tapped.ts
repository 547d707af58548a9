/** A call as a proxy tells of it. */
import type { TappedCall } from "../../../src/model/tap.ts";

export const TAPPED: TappedCall = {
  timeMs: Date.UTC(2026, 0, 1, 12, 0, 0, 7),
  reporter: "destination",
  source: "shop/front",
  destination: "shop/web",
  service: "web.shop.svc.cluster.local",
  mtls: true,
  protocol: "http",
  method: "GET",
  authority: "web:8080",
  path: "/a",
  status: 200,
  flags: "-",
  details: "",
  durationMs: 3.25,
  requestBytes: 0,
  responseBytes: 12,
  verdict: { allowed: true, policy: "shop/web-callers", rule: 0, file: "web.yaml", line: 9 },
};
