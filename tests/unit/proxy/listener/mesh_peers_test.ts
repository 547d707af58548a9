/** Who is let in behind a handshake, and under which name: what is refused is closed, and told with its reason. */
import { beforeAll, describe, expect, test } from "bun:test";
import { readCertificate } from "../../../../src/identity/certificate_fields.ts";
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { Http1ServerConnection } from "../../../../src/proxy/http1/server_connection.ts";
import { Http2ServerConnection } from "../../../../src/proxy/http2/server_connection.ts";
import { MeshPeers } from "../../../../src/proxy/listener/mesh_peers.ts";
import { Reception } from "../../../../src/proxy/listener/reception.ts";
import { PeerCertificates } from "../../../../src/proxy/peer_certificates.ts";
import type { TlsMaterial } from "../../../../src/runtime/tls_options.ts";
import type { TlsWire, TlsWireOwner } from "../../../../src/runtime/wire.ts";
import { type OddLeaf, TestAuthority } from "../../identity/odd_certificates.ts";
import { CALLER_ID, DataPlane, settings, snapshotOf } from "../data_plane.ts";
import { FakeWire, latin1, settle } from "../fake_wire.ts";
import { CLIENT_HELLOS } from "./client_hellos.ts";

let authority: TestAuthority;

beforeAll(async () => {
  authority = await TestAuthority.make();
});

const named = (value: string) => ({ names: [{ type: "url" as const, value }] });

async function certificate(leaf: OddLeaf = named(CALLER_ID)): Promise<Uint8Array> {
  return (await authority.issue(leaf)).der;
}

class Door {
  readonly plane = new DataPlane(snapshotOf(settings()));
  readonly certificates = new PeerCertificates();
  readonly warnings: string[] = [];
  readonly peers: MeshPeers;
  /** For connections over the mesh port, and for those that were captured. */
  readonly receptions: Record<"mesh" | "inbound", Reception>;

  /** `material`: the workload's own; null: it has not joined. */
  constructor(material: TlsMaterial | null = null) {
    const { exchanges, edges, calls, descriptions, gate, wheel } = this.plane;
    this.receptions = {
      mesh: new Reception(gate, wheel, "inbound"),
      inbound: new Reception(gate, wheel, "inbound"),
    };
    this.peers = new MeshPeers({
      trustDomain: "mesh.test",
      peers: this.certificates,
      receptions: this.receptions,
      exchanges: { ...exchanges, edges, calls, descriptions, current: () => this.plane.compiled },
      tlsMaterial: () => material,
      warn: (message) => this.warnings.push(message),
    });
  }

  /** The handshake of a peer that shows this; undefined: nothing. */
  shakes(raw: Uint8Array | undefined, alpnProtocol: string | false, error: Error | null = null): FakeWire {
    const wire = Object.assign(new FakeWire(), {
      getPeerCertificate: () => (raw === undefined ? null : { raw }),
      alpnProtocol,
    });
    this.peers.judge(wire as unknown as TlsWire, error);
    return wire;
  }
}

describe("MeshPeers", () => {
  test("lets in who proved an identity of the trust domain, in the protocol that was agreed on", async () => {
    const raw = await certificate();
    const door = new Door();
    expect(door.shakes(raw, "h2").data).toBeInstanceOf(Http2ServerConnection);
    for (const alpn of ["http/1.1", false] as const) {
      const wire = door.shakes(raw, alpn);
      expect(wire.data).toBeInstanceOf(Http1ServerConnection);
      wire.data?.onData(latin1("GET / HTTP/1.1\r\nHost: shop\r\nx-bowline-port: 8080\r\n\r\n"));
      expect(await door.plane.network.last.accept().read()).toContain(`URI=${CALLER_ID}\r\n`);
    }
    expect(door.warnings).toEqual([]);
  });

  test("closes on whoever did not, before a byte is read, and says why", async () => {
    const good = await certificate();
    const untrusted = Object.assign(new Error("no"), { code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" });
    const odd: readonly (readonly [string, Uint8Array | undefined, Error | null])[] = [
      ["certificate_missing", undefined, null],
      ["handshake_failed", good, untrusted],
      ["uri_san_missing", await certificate({}), null],
      ["trust_domain_foreign", await certificate(named("spiffe://other.test/ns/web/sa/caller")), null],
      [
        "certificate_expired",
        await certificate({ ...named(CALLER_ID), notAfterMs: Date.now() - 1_000 }),
        null,
      ],
      ["certificate_malformed", Uint8Array.of(1, 2, 3), null],
    ];
    for (const [code, raw, error] of odd) {
      const door = new Door();
      const wire = door.shakes(raw, "h2", error);
      expect([code, wire.terminated, wire.data]).toEqual([code, true, null]);
      expect(door.warnings).toEqual([expect.stringContaining(`Refused the peer from 192.0.2.1 (${code})`)]);
    }
  });

  test("knows other names of the trust domain, and who was revoked", async () => {
    const door = new Door();
    const renamed = await certificate(named("spiffe://old.test/ns/web/sa/caller"));
    expect(door.shakes(renamed, "h2").terminated).toBe(true);
    door.certificates.trustDomainAliases = ["old.test"];
    const wire = door.shakes(renamed, "h2");
    expect(wire.terminated).toBe(false);
    door.certificates.revoke([readCertificate(renamed).serial], []);
    // What it had opened is broken off, and it opens nothing more.
    expect(wire.terminated).toBe(true);
    expect(door.shakes(renamed, "h2").terminated).toBe(true);
    expect(door.warnings.at(-1)).toContain("(certificate_revoked)");
  });

  test("shakes no hands before the workload has a certificate of its own", () => {
    const door = new Door();
    const wire = new FakeWire();
    door.peers.secure(wire, 8080).onData(CLIENT_HELLOS.bun);
    expect(wire.terminated).toBe(true);
  });

  test("secure() asks a captured client for a certificate, and takes its requests for the port that it called", async () => {
    const door = new Door({ chain: "chain", key: "key", roots: "roots" });
    const tlsWire = Object.assign(new FakeWire(), {
      ...{ alpnProtocol: "http/1.1", getPeerCertificate: () => ({ raw }) },
    });
    const raw = await certificate();
    let asked: Record<string, unknown> = {};
    const wire = Object.assign(new FakeWire(), {
      upgradeTLS: ({ tls }: { tls: Record<string, unknown> }) => {
        asked = tls;
        return [null, tlsWire];
      },
    });
    const owner = door.peers.secure(wire, 8080);
    owner.onData(CLIENT_HELLOS.curl);
    expect(asked).toMatchObject({
      cert: "chain",
      key: "key",
      ca: "roots",
      requestCert: true,
      rejectUnauthorized: true,
    });
    (tlsWire.data as TlsWireOwner).onHandshake(tlsWire as unknown as TlsWire, null);
    tlsWire.data?.onData(latin1("GET / HTTP/1.1\r\nHost: shop\r\nx-bowline-port: 22\r\n\r\n"));
    const workload = door.plane.network.last;
    expect(workload.address.port).toBe(8080);
    expect(await workload.accept().read()).toContain(`URI=${CALLER_ID}\r\n`);
    // It drains with what was captured, and not with the mesh port.
    door.receptions.mesh.close();
    workload.say("HTTP/1.1 204 No Content\r\n\r\n");
    await settle();
    expect(tlsWire.closed || tlsWire.shut).toBe(false);
    door.receptions.inbound.close();
    door.plane.clock.advance(DEFAULT_LIMITS.drainMs);
    expect(tlsWire.closed || tlsWire.shut).toBe(true);
  });
});
