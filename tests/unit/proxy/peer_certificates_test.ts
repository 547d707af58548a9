import { describe, expect, test } from "bun:test";
import { PeerCertificates } from "../../../src/proxy/peer_certificates.ts";
import type { Wire } from "../../../src/runtime/wire.ts";

function wire() {
  const fake = { readyState: 1, terminated: 0, terminate: () => void fake.terminated++ };
  return fake as typeof fake & Wire;
}

const NOW_MS = 1_000_000;
const CART = "spiffe://mesh.test/ns/shop/sa/cart";

const ROOT = "0a";

function certificate(serial: string, notAfterMs = NOW_MS, spiffeId = CART) {
  return { serial, spiffeId, notAfterMs, signer: ROOT };
}

describe("PeerCertificates", () => {
  test("PeerCertificates.revoke() breaks off the connections of these certificates and no others", () => {
    const peers = new PeerCertificates();
    const [one, two, other] = [wire(), wire(), wire()];
    peers.add(certificate("4a"), one);
    peers.add(certificate("4a"), two);
    peers.add(certificate("4b"), other);
    peers.revoke(["4a"], []);
    expect([one, two, other].map(({ terminated }) => terminated)).toEqual([1, 1, 0]);
    expect([peers.isRevoked("4a", ROOT), peers.isRevoked("4b", ROOT)]).toEqual([true, false]);
    peers.revoke(["4a"], []);
    expect(one.terminated).toBe(1);
    peers.revoke([], []);
    expect(peers.isRevoked("4a", ROOT)).toBe(false);
  });

  test("PeerCertificates.trustOnly() breaks off what stands by another signer, or by none that is named", () => {
    const peers = new PeerCertificates();
    const [other, unnamed, good] = [wire(), wire(), wire()];
    peers.add(certificate("4a"), other);
    peers.add({ ...certificate("4b"), signer: undefined }, unnamed);
    peers.add({ ...certificate("4c"), signer: "0b" }, good);
    peers.trustOnly(null);
    expect([other, unnamed, good].map(({ terminated }) => terminated)).toEqual([0, 0, 0]);
    expect(peers.isRevoked("4a", ROOT)).toBe(false);
    peers.trustOnly("0b");
    peers.trustOnly("0b");
    expect([other, unnamed, good].map(({ terminated }) => terminated)).toEqual([1, 1, 0]);
    // A handshake that began before ends after.
    expect([ROOT, undefined, "0b"].map((signer) => peers.isRevoked("4d", signer))).toEqual([
      true,
      true,
      false,
    ]);
  });

  test("PeerCertificates.revoke() breaks off what a revoked identity opened with what had ended, at each push", () => {
    const peers = new PeerCertificates();
    const [ended, good, stranger] = [wire(), wire(), wire()];
    peers.add(certificate("4a", NOW_MS), ended);
    peers.add(certificate("4b", NOW_MS + 1), good);
    peers.add(certificate("4c", NOW_MS, "spiffe://mesh.test/ns/shop/sa/other"), stranger);
    peers.revoke(["4d"], [{ spiffeId: CART, endedByMs: NOW_MS }]);
    peers.revoke(["4d"], [{ spiffeId: CART, endedByMs: NOW_MS }]);
    expect([ended, good, stranger].map(({ terminated }) => terminated)).toEqual([1, 0, 0]);
    // Revoked again, when what it came back with has ended: no serial number is new, nor is the identity.
    peers.revoke(["4d"], [{ spiffeId: CART, endedByMs: NOW_MS + 1 }]);
    expect([good, stranger].map(({ terminated }) => terminated)).toEqual([1, 0]);
  });

  test("PeerCertificates.add() forgets connections that are closed, and none that is open", () => {
    const peers = new PeerCertificates();
    const open = wire();
    peers.add(certificate("4a"), open);
    const closed = Array.from({ length: 5_000 }, () => Object.assign(wire(), { readyState: 0 }));
    for (const each of closed) peers.add(certificate("4a"), each);
    peers.revoke(["4a"], []);
    expect(open.terminated).toBe(1);
    expect(closed.filter(({ terminated }) => terminated > 0).length).toBeLessThan(2_048);
  });
});
