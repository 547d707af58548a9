/** The private key of a certificate authority, and how X.509 names and writes the signatures that it makes. */
import { DER_TAG } from "../../identity/der_reader.ts";
import { derBitString, derElement } from "../../identity/der_writer.ts";
import { derEcdsaSignature } from "../../identity/ecdsa_signature.ts";

/** How WebCrypto signs, and the AlgorithmIdentifier that says so (RFC 5758 §3.2, RFC 4055 §5). */
interface Scheme {
  readonly parameters: AlgorithmIdentifier | EcdsaParams;
  readonly identifier: Uint8Array;
}

const ECDSA_SHA256: Scheme = {
  parameters: { name: "ECDSA", hash: "SHA-256" },
  identifier: algorithmIdentifier([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]),
};
const ECDSA_SHA384: Scheme = {
  parameters: { name: "ECDSA", hash: "SHA-384" },
  identifier: algorithmIdentifier([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03]),
};
const RSA_SHA256: Scheme = {
  parameters: "RSASSA-PKCS1-v1_5",
  identifier: algorithmIdentifier(
    [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b],
    derElement(0x05),
  ),
};

export class SigningKey {
  readonly #privateKey: CryptoKey;
  readonly #scheme: Scheme;

  /** An ECDSA key on P-256 or P-384, or an RSA key that was imported for PKCS#1 v1.5 with SHA-256. */
  constructor(privateKey: CryptoKey) {
    this.#privateKey = privateKey;
    const { name, namedCurve } = privateKey.algorithm as Partial<EcKeyAlgorithm>;
    this.#scheme = name !== "ECDSA" ? RSA_SHA256 : namedCurve === "P-384" ? ECDSA_SHA384 : ECDSA_SHA256;
  }

  /** DER of the AlgorithmIdentifier, which stands in what is signed too. */
  get algorithm(): Uint8Array {
    return this.#scheme.identifier;
  }

  /** DER of a certificate or a revocation list, from the DER of its body. */
  async seal(body: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const { parameters, identifier } = this.#scheme;
    const made = new Uint8Array(await crypto.subtle.sign(parameters, this.#privateKey, body));
    const signature = this.#scheme === RSA_SHA256 ? made : derEcdsaSignature(made);
    return derElement(DER_TAG.sequence, body, identifier, derBitString(signature));
  }
}

function algorithmIdentifier(oid: readonly number[], parameters = new Uint8Array(0)): Uint8Array {
  return derElement(DER_TAG.sequence, derElement(DER_TAG.objectIdentifier, Uint8Array.from(oid)), parameters);
}
