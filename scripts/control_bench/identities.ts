/** Workload certificates for many proxies, from the control plane's own authority before it starts. */
import {
  CertificateAuthority,
  LEAF_LIFE_DEFAULT_MS,
} from "../../src/citadel/authority/certificate_authority.ts";
import { IssuanceLog } from "../../src/citadel/issuance_log.ts";
import { OwnAuthority } from "../../src/citadel/authority/own_authority.ts";
import { encodePrivateKey, generateKeyPair } from "../../src/identity/key_pair.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { privateFiles } from "../../src/runtime/private_files.ts";
import type { TlsMaterial } from "../../src/runtime/tls_options.ts";

export interface Identities {
  /** In the order of the workloads. All have one key: a key for each would only cost time. */
  readonly tls: readonly TlsMaterial[];
  /** CPU time of one signature and its certificate, milliseconds. */
  readonly signMs: number;
}

/** `dataDirectory` becomes one that a control plane has worked with: the workloads are on its books. */
export async function issueIdentities(
  dataDirectory: string,
  trustDomain: string,
  workloads: readonly string[],
): Promise<Identities> {
  const directory = `${dataDirectory}/ca`;
  await privateFiles.makeDirectory(dataDirectory);
  await privateFiles.makeDirectory(directory);
  const files = privateFiles;
  const { material } = await OwnAuthority.open({ directory, trustDomain, clock: systemClock, files });
  const authority = await CertificateAuthority.create(material, systemClock);
  const log = await IssuanceLog.open(directory, files, systemClock);
  const keys = await generateKeyPair();
  const publicKey = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
  const key = await encodePrivateKey(keys.privateKey);
  const tls: TlsMaterial[] = [];
  const written: Promise<void>[] = [];
  const start = process.cpuUsage();
  for (const workload of workloads) {
    const [namespace, name] = workload.split("/");
    const spiffeId = `spiffe://${trustDomain}/ns/${namespace}/sa/${name}`;
    const leaf = await authority.sign({ publicKey, spiffeId, ttlMs: LEAF_LIFE_DEFAULT_MS });
    const { serial, notAfterMs } = leaf;
    written.push(log.append({ serial, spiffeId, workload, notAfterMs, how: "token" }));
    tls.push({ chain: leaf.chain, key, roots: authority.roots });
  }
  const { user, system } = process.cpuUsage(start);
  await Promise.all(written);
  return { tls, signMs: (user + system) / 1_000 / workloads.length };
}
