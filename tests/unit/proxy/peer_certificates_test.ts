import { describe, expect, test } from "bun:test";
import { PeerCertificates } from "../../../src/proxy/peer_certificates.ts";
import type { Wire } from "../../../src/runtime/socket.ts";

function wire() {
  const fake = { readyState: 1, terminated: 0, terminate: () => void fake.terminated++ };
  return fake as typeof fake & Wire;
}

describe("PeerCertificates", () => {
  test("PeerCertificates.revoke() breaks off the connections of these certificates and no others", () => {
    const peers = new PeerCertificates();
    const [one, two, other] = [wire(), wire(), wire()];
    peers.add("4a", one);
    peers.add("4a", two);
    peers.add("4b", other);
    peers.revoke(["4a"]);
    expect([one, two, other].map(({ terminated }) => terminated)).toEqual([1, 1, 0]);
    expect([peers.isRevoked("4a"), peers.isRevoked("4b")]).toEqual([true, false]);
    peers.revoke(["4a"]);
    expect(one.terminated).toBe(1);
    peers.revoke([]);
    expect(peers.isRevoked("4a")).toBe(false);
  });

  test("PeerCertificates.add() forgets connections that are closed, and none that is open", () => {
    const peers = new PeerCertificates();
    const open = wire();
    peers.add("4a", open);
    const closed = Array.from({ length: 5_000 }, () => Object.assign(wire(), { readyState: 0 }));
    for (const each of closed) peers.add("4a", each);
    peers.revoke(["4a"]);
    expect(open.terminated).toBe(1);
    expect(closed.filter(({ terminated }) => terminated > 0).length).toBeLessThan(2_048);
  });
});
