import { expect, test } from "bun:test";
import { CERTIFICATE_WATCH_MS, CertificateWatch } from "../../../src/control/certificate_watch.ts";
import { ManualClock } from "../../../src/lib/clock.ts";
import type { CertificateState, CertificateStatus } from "../../../src/model/admin.ts";
import { createLog } from "../../../src/telemetry/log.ts";

test("CertificateWatch warns once of each certificate and state, and again when it comes back", () => {
  const clock = new ManualClock(0);
  const lines: string[] = [];
  const log = createLog({ clock, format: "json", write: (line) => lines.push(line) });
  let certificates: CertificateStatus[] = [];
  const be = (state: CertificateState) => {
    certificates = [{
      kind: "leaf",
      identity: "spiffe://mesh.test/ns/shop/sa/cart",
      workload: "shop/cart",
      serial: "4a",
      notAfter: "2027-01-15T08:00:00.000Z",
      state,
    }];
    clock.advance(CERTIFICATE_WATCH_MS);
    return lines.splice(0).map((line) =>
      JSON.parse(line) as { msg?: string; message?: string; serial: string }
    );
  };
  const watch = new CertificateWatch({ certificates: () => certificates, clock, log });
  watch.start();
  expect(be("valid")).toEqual([]);
  expect(be("expiring")).toMatchObject([{ serial: "4a", workload: "shop/cart" }]);
  expect(be("expiring")).toEqual([]);
  expect(be("expired")).toMatchObject([{ serial: "4a" }]);
  expect(be("revoked")).toEqual([]);
  expect(be("expired")).toHaveLength(1);
  watch.stop();
  expect(be("expiring")).toEqual([]);
});
