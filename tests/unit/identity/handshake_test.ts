/** Real TLS handshakes between two sockets: what the runtime reports is what peerIdentity() is built on. */
import { describe, expect, test } from "bun:test";
import { type PeerIdentity, peerIdentity } from "../../../src/identity/peer_identity.ts";
import { CLIENT_ONLY, type OddLeaf, SERVER_ONLY, TestAuthority, type TlsLeaf } from "./odd_certificates.ts";

const TRUST_DOMAIN = "mesh.test";
const ID = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/cart`;
const names = [{ type: "url", value: ID }] as const;
const authority = await TestAuthority.make();
// Of the same name: found by the name, betrayed by its signature.
const impostor = await TestAuthority.make();
const stranger = await TestAuthority.make("CN=other");
const good = await authority.issue({ names: [...names] });

interface Seen {
  readonly byServer: PeerIdentity;
  readonly byClient: PeerIdentity;
}

/** Lets a client and a server meet, neither of which the runtime itself may refuse, and asks both what they think. */
async function meet(server: TlsLeaf, client: TlsLeaf | null): Promise<Seen> {
  const byServer = Promise.withResolvers<PeerIdentity>();
  const byClient = Promise.withResolvers<PeerIdentity>();
  const judge = (peer: "client" | "server", found: PromiseWithResolvers<PeerIdentity>) => ({
    data() {},
    error() {},
    handshake(socket: Bun.Socket, _success: boolean, error: Error | null) {
      const certificate = socket.getPeerCertificate() as unknown as { raw?: Uint8Array } | undefined;
      const expected = { peer, trustDomain: TRUST_DOMAIN, spiffeId: null, nowMs: Date.now() };
      found.resolve(peerIdentity({ error, certificate }, expected));
    },
  });
  const ca = authority.roots;
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls: { key: server.key, cert: server.chain, ca, requestCert: true, rejectUnauthorized: false },
    socket: judge("client", byServer),
  });
  try {
    const own = client === null ? {} : { key: client.key, cert: client.chain };
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: listener.port,
      tls: { ...own, ca, rejectUnauthorized: false },
      socket: judge("server", byClient),
    });
    const seen = { byServer: await byServer.promise, byClient: await byClient.promise };
    socket.end();
    return seen;
  } finally {
    listener.stop(true);
  }
}

/** What both sides say about the same odd certificate, shown by the other side. */
async function verdicts(odd: TlsLeaf): Promise<{ asClient: unknown; asServer: unknown }> {
  const { byServer } = await meet(good, odd);
  const { byClient } = await meet(odd, good);
  const word = (identity: PeerIdentity) => identity.ok ? identity.spiffeId : identity.code;
  return { asClient: word(byServer), asServer: word(byClient) };
}

describe("a handshake", () => {
  test("a handshake of two good certificates gives both identities", async () => {
    expect(await verdicts(good)).toEqual({ asClient: ID, asServer: ID });
  });

  test("a handshake without a client certificate is refused", async () => {
    const { byServer } = await meet(good, null);
    expect(byServer).toMatchObject({ ok: false, code: "certificate_missing" });
  });

  test("a handshake with another CA is refused", async () => {
    const refused = { asClient: "handshake_failed", asServer: "handshake_failed" };
    expect(await verdicts(await impostor.issue({ names: [...names] }))).toEqual(refused);
    expect(await verdicts(await stranger.issue({ names: [...names] }))).toEqual(refused);
  });

  const odd: [string, OddLeaf, { asClient: string; asServer: string }][] = [
    [
      "an expired certificate",
      { names: [...names], notAfterMs: Date.now() - 60_000 },
      both("handshake_failed"),
    ],
    ["one of the future", { names: [...names], notBeforeMs: Date.now() + 60_000 }, both("handshake_failed")],
    ["a DNS SAN that spells an ID", { names: [{ type: "dns", value: ID }] }, both("uri_san_missing")],
    ["an email SAN that spells an ID", { names: [{ type: "email", value: ID }] }, both("uri_san_missing")],
    [
      "a DNS SAN that matches the host",
      { names: [{ type: "ip", value: "127.0.0.1" }] },
      both("uri_san_missing"),
    ],
    ["two URI SANs", { names: [...names, { type: "url", value: `${ID}2` }] }, both("uri_san_several")],
    ["a NUL in its URI SAN", { names: [{ type: "url", value: `${ID}\0x` }] }, both("spiffe_id_malformed")],
    ["no SAN", {}, both("uri_san_missing")],
    ["CA:TRUE", { names: [...names], isCa: true }, both("certificate_is_ca")],
    [
      "another trust domain",
      { names: [{ type: "url", value: "spiffe://other.test/ns/shop/sa/cart" }] },
      both("trust_domain_foreign"),
    ],
    [
      "serverAuth only",
      { names: [...names], purposes: SERVER_ONLY },
      { asClient: "handshake_failed", asServer: ID },
    ],
    [
      "clientAuth only",
      { names: [...names], purposes: CLIENT_ONLY },
      { asClient: ID, asServer: "handshake_failed" },
    ],
  ];
  for (const [what, leaf, expected] of odd) {
    test(`a handshake with ${what} is refused wherever it is unfit`, async () => {
      expect(await verdicts(await authority.issue(leaf))).toEqual(expected);
    });
  }
});

function both(code: string): { asClient: string; asServer: string } {
  return { asClient: code, asServer: code };
}
