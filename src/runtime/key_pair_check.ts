/** Whether a certificate, its key and roots can serve, found out before anything relies on them. */
import type * as Crypto from "node:crypto";
import type { TlsMaterial } from "./tls_options.ts";

/** Loaded on use: it costs a megabyte, which sidecars do not have to spend. */
function crypto(): typeof Crypto {
  return process.getBuiltinModule("node:crypto") as typeof Crypto;
}

/** What the certificate's key is for: `rsa`, `ec`, and so on. Throws where it is no PEM certificate. */
export function keyKind({ chain }: Pick<TlsMaterial, "chain">): string {
  const { X509Certificate } = crypto();
  return new X509Certificate(chain).publicKey.asymmetricKeyType ?? "";
}

/** Which part of it cannot serve, and why, as one clause. */
export interface KeyPairFault {
  readonly part: "chain" | "key" | "roots";
  readonly reason: string;
}

/** Null when the pair can serve. */
export function keyPairFault({ chain, key, roots }: TlsMaterial): KeyPairFault | null {
  const { X509Certificate, createPrivateKey } = crypto();
  let leaf: Crypto.X509Certificate;
  try {
    leaf = new X509Certificate(chain);
  } catch {
    return { part: "chain", reason: "the certificate is no PEM certificate" };
  }
  try {
    if (!leaf.checkPrivateKey(createPrivateKey(key))) {
      return { part: "key", reason: "the key is not that of the certificate" };
    }
  } catch {
    return { part: "key", reason: "the key is no PEM private key" };
  }
  try {
    if (roots !== "") new X509Certificate(roots);
  } catch {
    return { part: "roots", reason: "the CA's file is no PEM certificate" };
  }
  return null;
}
