/** Requests for certificates that ask for more than a key's certificate: the identity is the token's, whatever they say. */
import { beforeAll, describe, expect } from "bun:test";
import { readCertificate } from "../../src/identity/certificate_fields.ts";
import { decodeOnePem, decodePem, encodePem } from "../../src/identity/pem.ts";
import type { CertificateReply } from "../../src/model/enrolment.ts";
import { openssl } from "../unit/identity/openssl.ts";
import { bowline, endEverythingAfterwards, scenario } from "./bowline.ts";
import { askDoor, type DoorAnswer } from "./door_client.ts";
import { Mesh } from "./mesh.ts";
import { workload } from "./resources.ts";

const mesh = new Mesh("127.0.72");
const ID = "spiffe://cluster.local/ns/shop/sa/cart";
const REFUSED = { error: { code: "csr_refused", message: "The certificate request was refused" } };

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write("mesh.yaml", workload("cart", mesh.address(10), { serviceAccount: "cart" }));
  await mesh.startControlPlane();
});

async function newToken(): Promise<string> {
  const args = ["token", "create", "--workload", "shop/cart", "--data", mesh.controlPlaneData];
  const { code, stdout, stderr } = await bowline(args);
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

/** As openssl makes it; `more` are arguments such as `-addext`. */
function csrOf(key: readonly string[], ...more: readonly string[]): string {
  const args = ["req", "-new", "-nodes", "-keyout", "key.pem", "-subj", "/CN=x", "-newkey"];
  const output = openssl([...args, ...key, ...more], {});
  return output.slice(output.indexOf("-----BEGIN CERTIFICATE REQUEST"));
}

const P256 = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

function enrol(token: string, csr: string): Promise<DoorAnswer> {
  return askDoor(mesh.address(9), "/v1/enrol", { token, csr });
}

/** What the certificate is that comes of it. */
async function leafOf(csr: string) {
  const { status, body } = await enrol(await newToken(), csr);
  expect(status).toBe(200);
  const { chain, spiffeId } = body as unknown as CertificateReply;
  expect(spiffeId).toBe(ID);
  return readCertificate(decodePem(chain)[0]?.der as Uint8Array);
}

describe("a request for a certificate", () => {
  for (
    const [what, ...extensions] of [
      ["another's identity", "subjectAltName=critical,URI:spiffe://cluster.local/ns/shop/sa/admin"],
      [
        "the control plane's",
        "subjectAltName=URI:spiffe://cluster.local/ns/bowline-system/sa/control-plane",
      ],
      ["more names", `subjectAltName=URI:${ID},DNS:cart.shop,IP:10.0.0.1,email:a@b.test`],
      ["the right to sign", "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"],
      ["other purposes", "extendedKeyUsage=codeSigning,anyExtendedKeyUsage"],
    ] as const
  ) {
    scenario(`that asks for ${what} gets the token's identity and nothing more`, async () => {
      const leaf = await leafOf(csrOf(P256, ...extensions.flatMap((each) => ["-addext", each])));
      expect(leaf.alternativeNames.map(({ value }) => value)).toEqual([ID]);
      expect([leaf.isCa, leaf.keyUsage?.has(5), leaf.keyUsage?.has(6)]).toEqual([false, false, false]);
      expect(leaf.extendedKeyUsage?.size).toBe(2);
    });
  }

  for (
    const [what, key] of [
      ["P-256", P256],
      ["P-384", ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]],
      ["RSA of 2048 bits", ["rsa:2048"]],
    ] as const
  ) {
    scenario(`with a key of ${what} is signed`, async () => {
      expect((await leafOf(csrOf(key))).alternativeNames.map(({ value }) => value)).toEqual([ID]);
    });
  }

  scenario("that is no good is refused in the same words, and the token is still good", async () => {
    const token = await newToken();
    const good = csrOf(P256);
    const bad = [
      csrOf(["rsa:1024"]),
      csrOf(["ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"]),
      csrOf(["ed25519"]),
      withAnotherSignature(good),
      good.replace(/\n[^\n]+\n/, "\n"),
      "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n",
      good.replaceAll("CERTIFICATE REQUEST", "CERTIFICATE"),
      "",
    ];
    for (const csr of bad) {
      const { status, body } = await enrol(token, csr);
      expect([csr, status, body]).toEqual([csr, 403, REFUSED]);
    }
    expect((await enrol(token, good)).status).toBe(200);
    await mesh.controlPlane.says("RSA key has 1024 bits");
  });

  scenario("of a megabyte is refused before it is read", async () => {
    const { status } = await enrol(await newToken(), csrOf(P256) + "A".repeat(1024 * 1024));
    expect(status).toBe(413);
    expect(mesh.controlPlane.isAlive).toBe(true);
  });
});

/** Signed by another key than it has, as far as anybody can tell. */
function withAnotherSignature(csr: string): string {
  const der = decodeOnePem(csr, "CERTIFICATE REQUEST");
  der[der.length - 1] = (der.at(-1) as number) ^ 1;
  return encodePem("CERTIFICATE REQUEST", der);
}
