/** Port 15012: whoever proved nothing joins, and whoever proved who it is speaks for itself alone. */
import { afterAll, describe, expect, test } from "bun:test";
import type { AuditLog } from "../../../../src/citadel/audit_log.ts";
import type { PlatformEnrolment } from "../../../../src/citadel/platform/platform_enrolment.ts";
import type { Peer } from "../../../../src/control/doors/fetch_bridge.ts";
import { createProxyApi } from "../../../../src/control/doors/proxy_api.ts";
import { TapHub } from "../../../../src/control/tap_hub.ts";
import { CallStore } from "../../../../src/mixer/call_store.ts";
import { REPORT_BYTES_MAX } from "../../../../src/mixer/report_validation.ts";
import { TelemetryStore } from "../../../../src/mixer/telemetry_store.ts";
import type { WorkloadTap } from "../../../../src/model/tap.ts";
import type { DiscoveryServer } from "../../../../src/pilot/discovery/discovery_server.ts";
import type { ServerStream } from "../../../../src/proxy/exchange.ts";
import { createLog } from "../../../../src/telemetry/log.ts";
import { CART, newCsr, openCitadel, removeDirectories } from "../../citadel/test_citadel.ts";
import { edge, workload } from "../../mixer/reports.ts";
import { requestHead } from "../../proxy/request_head.ts";

afterAll(removeDirectories);

async function build(platform: PlatformEnrolment | null = null) {
  const { citadel, clock } = await openCitadel();
  const { token } = await citadel.createToken(CART);
  const { serial } = await citadel.enrol({ token, csr: await newCsr() });
  const lines: string[] = [];
  const log = createLog({ clock, format: "json", write: (line) => lines.push(line) });
  const store = new TelemetryStore(clock);
  const calls = new CallStore();
  const tap = new TapHub({ clock, ask: () => {} });
  const api = createProxyApi({
    ...{ citadel, clock, log, store, calls, tap, platform, onEnrolled: () => {} },
    audit: { append: () => Promise.resolve() } as unknown as AuditLog,
    discovery: {} as DiscoveryServer,
  });
  const own: Peer = { address: "192.0.2.1", spiffeId: CART.spiffeId, serial };
  const ask = async (path: string, body: unknown, peer: Partial<Peer> = {}, method = "POST") => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const init = method === "GET" ? { method } : { method, body: text };
    const response = await api.handler(new Request(`https://door${path}`, init), { ...own, ...peer });
    const answer = await response.text();
    return `${response.status} ${answer === "" ? "-" : JSON.parse(answer).error?.code}`;
  };
  return { citadel, api, ask, own, serial, store, calls, tap, lines };
}

const NOBODY: Partial<Peer> = { spiffeId: null, serial: null };
/** As the certificate of CART says. */
const SELF = { ...workload("cart"), namespace: "shop", principal: CART.spiffeId };
const REPORT = { edges: [{ ...edge(), reporter: "source", source: SELF }] };
const TAP = { workload: "shop/cart", calls: [], omitted: 1 };

describe("what needs a certificate", () => {
  const asked: readonly (readonly [string, unknown, string])[] = [
    ["/v1/report", REPORT, "204 -"],
    ["/v1/tap", TAP, "204 -"],
    ["/v1/discovery", "{}", "400 body_required"],
  ];

  test.each([...asked])(
    "%s is nothing for whoever shows none, or one that was revoked",
    async (path, body, own) => {
      const { citadel, ask, serial } = await build();
      expect(await ask(path, body)).toBe(own);
      expect(await ask(path, body, NOBODY)).toBe("401 certificate_required");
      await citadel.revoke(serial);
      expect(await ask(path, body)).toBe("403 certificate_revoked");
    },
  );

  test("a stream of discovery is opened by POST alone, with a certificate that holds", async () => {
    const { citadel, api, own, serial } = await build();
    const stream = { respond: () => {} } as unknown as ServerStream;
    const opens = (method: string, path: string, peer: Peer) =>
      api.openStream(stream, requestHead({ method, path }), peer) !== null;
    expect(opens("POST", "/v1/discovery", own)).toBe(true);
    expect(opens("POST", "/v1/discovery?x", own)).toBe(true);
    expect(opens("GET", "/v1/discovery", own)).toBe(false);
    expect(opens("POST", "/v1/discovery/x", own)).toBe(false);
    expect(opens("POST", "/v1/discovery", { ...own, ...NOBODY })).toBe(false);
    await citadel.revoke(serial);
    expect(opens("POST", "/v1/discovery", own)).toBe(false);
  });

  test("there is nothing elsewhere", async () => {
    const { ask } = await build();
    expect(await ask("/v1/secrets", {})).toBe("404 not_found");
    expect(await ask("/v1/report", "", {}, "GET")).toBe("404 not_found");
  });
});

describe("reports", () => {
  test("count what the peer itself took part in, and leave out what others did", async () => {
    const { ask, store, calls, lines } = await build();
    const other = { ...REPORT.edges[0], source: { ...SELF, principal: "spiffe://mesh.test/ns/shop/sa/x" } };
    expect(await ask("/v1/report", { edges: [...REPORT.edges, other] })).toBe("204 -");
    expect([...store.edges()]).toHaveLength(1);
    expect(lines.join()).toContain('"refused":1');
    const foreign = { workload: "bank/till", calls: [], omitted: 0 };
    expect(await ask("/v1/report", { edges: [], calls: foreign })).toBe("204 -");
    expect(lines.join()).toContain("Left out reported calls to a workload of another namespace");
    expect(calls.seen()).toEqual([]);
    lines.length = 0;
    expect(await ask("/v1/report", REPORT)).toBe("204 -");
    expect(lines).toEqual([]);
  });

  test("are refused as a whole when they are malformed, no JSON, or too large", async () => {
    const { ask, store } = await build();
    expect(await ask("/v1/report", { edges: [{}] })).toBe("400 report_invalid");
    expect(await ask("/v1/report", "{")).toBe("400 request_invalid");
    expect(await ask("/v1/report", " ".repeat(REPORT_BYTES_MAX + 1))).toBe("413 request_invalid");
    expect([...store.edges()]).toEqual([]);
  });

  test("of calls that are watched are of the peer's own workload", async () => {
    const { ask, tap } = await build();
    const told: WorkloadTap[] = [];
    tap.watch({ workload: null, onReport: (report) => void told.push(report) });
    expect(await ask("/v1/tap", { ...TAP, workload: "bank/till" })).toBe("403 not_yours");
    expect(told).toEqual([]);
    expect(await ask("/v1/tap", TAP)).toBe("204 -");
    expect(told).toEqual([TAP]);
  });
});

describe("a token of a platform", () => {
  test("is refused where no platform vouches, and asked for where one does", async () => {
    const body = { platformToken: "a.b.c", csr: await newCsr() };
    expect(await (await build()).ask("/v1/enrol", body, NOBODY)).toBe("403 token_invalid");
    const asked: unknown[] = [];
    const platform = {
      enrol: (request: unknown) => {
        asked.push(request);
        throw new Error("not today");
      },
    } as unknown as PlatformEnrolment;
    expect(await (await build(platform)).ask("/v1/enrol", body, NOBODY)).toBe("500 internal");
    expect(asked).toEqual([body]);
  });
});
