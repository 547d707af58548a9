/** Row 25: certificates expire while the control plane is down: nothing passes, nothing in plain text, and all is well by itself. */
import { until } from "../../../tests/integration/bowline.ts";
import { KeepAliveClient, type Outcome } from "../../../tests/integration/keep_alive_client.ts";
import { requestsPerConnection } from "../../../tests/integration/resources.ts";
import { atMost, type Check, exactly, type Row } from "../row.ts";
import { Stand } from "../stand.ts";

const ROUNDS = { full: 3, small: 1 };
const RECOVERY_MAX_S = 5;
/** The shortest life that certificates may have, and time for a slow machine. */
const EXPIRY_MS = 60_000 + 30_000;
/** Calls after the end of the certificates. */
const CALLS = 50;

export const expiredCertificates: Row = {
  name: "25",
  what: "certificates expire with the control plane down",
  async run(size) {
    const stand = await Stand.up({ certTtl: "1m" });
    try {
      stand.write(requestsPerConnection("store", 1));
      await stand.client.says('"Applied a push","nonce":2');
      const checks: Check[] = [];
      for (let round = 0; round < ROUNDS[size]; round++) checks.push(...await expire(stand));
      return checks;
    } finally {
      await stand.down();
    }
  },
};

async function expire(stand: Stand): Promise<Check[]> {
  await stand.mesh.controlPlane.end("SIGKILL");
  await until("the certificates have expired", async () => await call(stand) === 503, EXPIRY_MS);
  let passed = 0;
  for (let i = 0; i < CALLS; i++) if (await call(stand) !== 503) passed++;
  await stand.startControlPlane();
  const backMs = performance.now();
  await until("calls arrive", async () => await call(stand) === 200, EXPIRY_MS);
  const recoveredS = (performance.now() - backMs) / 1_000;
  await stand.mesh.untilSynced(2);
  return [
    exactly(`of ${CALLS} calls without a good certificate passed`, passed, 0),
    atMost("recovered after the control plane", recoveredS, RECOVERY_MAX_S, "s"),
  ];
}

async function call(stand: Stand): Promise<Outcome> {
  const client = new KeepAliveClient(stand.target());
  const outcome = await client.get("/");
  client.close();
  return outcome;
}
