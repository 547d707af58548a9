/** Private keys of workloads and authorities: ECDSA P-256 by WebCrypto, PKCS#8 PEM (RFC 5958) on disk and for TLS. */
import { IdentityError } from "./identity_error.ts";
import { decodeOnePem, encodePem } from "./pem.ts";

export interface KeyPair {
  readonly publicKey: CryptoKey;
  readonly privateKey: CryptoKey;
}

/** How every signature in the mesh's own certificates and requests is made. */
export const ECDSA_P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** PEM label of a PKCS#8 key. */
export const PRIVATE_KEY_LABEL = "PRIVATE KEY";

export async function generateKeyPair(): Promise<KeyPair> {
  return await crypto.subtle.generateKey(ECDSA_P256, true, ["sign", "verify"]) as KeyPair;
}

/** PKCS#8 PEM: for a file of mode 0600 and for TLS, never for a log. */
export async function encodePrivateKey(privateKey: CryptoKey): Promise<string> {
  return encodePem(PRIVATE_KEY_LABEL, new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey)));
}

/** Both halves from the PKCS#8 PEM of a P-256 key; throws IdentityError `key_malformed` or `pem_malformed`. */
export async function decodePrivateKey(pem: string): Promise<KeyPair> {
  const der = decodeOnePem(pem, PRIVATE_KEY_LABEL);
  try {
    const privateKey = await crypto.subtle.importKey("pkcs8", der, ECDSA_P256, true, ["sign"]);
    const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", privateKey);
    const publicKey = await crypto.subtle.importKey(
      "jwk",
      { kty, crv, x, y } as JsonWebKey,
      ECDSA_P256,
      true,
      [
        "verify",
      ],
    );
    return { publicKey, privateKey };
  } catch (cause) {
    throw new IdentityError("key_malformed", "The private key is not an ECDSA P-256 key in PKCS#8", {
      cause,
    });
  }
}
