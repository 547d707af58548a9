/** Every sidecar asks for a certificate at once, as after a power cut: real requests over mutual TLS, with real CSRs. */
import { createCsr } from "../../src/identity/csr.ts";
import { generateKeyPair } from "../../src/identity/key_pair.ts";
import type { TlsMaterial } from "../../src/runtime/tls_options.ts";
import { percentile } from "../bench/row.ts";
import type { Times } from "./fleet.ts";

/** What a sidecar waits at most between attempts. */
const WAIT_MAX_S = 60;

export interface RenewalOptions {
  /** `HOST:PORT`. */
  readonly controlPlane: string;
  /** `NAMESPACE/NAME`. */
  readonly workloads: readonly string[];
  /** In the order of the workloads. */
  readonly tls: readonly TlsMaterial[];
}

/** Resolves when all have one. Who is told to come later does. */
export async function renewAll({ controlPlane, workloads, tls }: RenewalOptions): Promise<Times> {
  // A key for each would cost this process more than the control plane.
  const csr = await createCsr(await generateKeyPair());
  const startMs = performance.now();
  const one = async (workload: string, index: number) => {
    const { chain: cert, key, roots: ca } = tls[index] as TlsMaterial;
    for (;;) {
      const response = await fetch(
        `https://${controlPlane}/v1/renew?workload=${encodeURIComponent(workload)}`,
        {
          method: "POST",
          body: JSON.stringify({ csr }),
          keepalive: false,
          // The name in the certificate is no host's; who is asked is what this process started.
          tls: { cert, key, ca, rejectUnauthorized: false },
        },
      );
      if (response.ok) {
        await response.json();
        return performance.now() - startMs;
      }
      const waitS = Number(response.headers.get("retry-after") ?? Number.NaN);
      const text = await response.text();
      if (!(waitS > 0)) throw new Error(`${workload} got no certificate: ${response.status} ${text}`);
      await Bun.sleep(Math.min(waitS, WAIT_MAX_S) * 1_000 * (1 + Math.random()));
    }
  };
  const sorted = (await Promise.all(workloads.map(one))).sort((a, b) => a - b);
  return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), last: sorted.at(-1) as number };
}
