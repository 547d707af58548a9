import { describe, expect, test } from "bun:test";
import {
  BROUGHT_BY_PROXIES,
  clientCertificateValue,
  describePeer,
  DESCRIPTIONS_PER_IDENTITY_MAX,
  isMeshHeader,
  PEER_LENGTH_MAX,
  PeerDescriptions,
  readPeer,
  removeMeshHeaders,
  takeMeshHeaders,
} from "../../../src/proxy/mesh_headers.ts";
import { workload } from "./data_plane.ts";

const PRINCIPAL = "spiffe://mesh.test/ns/web/sa/caller";
const IDENTITY = { trustDomain: "mesh.test", namespace: "web", serviceAccount: "caller" };

describe("takeMeshHeaders()", () => {
  test("takeMeshHeaders() removes every field of ours, the last one of each wins, the order stays", () => {
    const headers = [
      "a",
      "1",
      "x-bowline-port",
      "80",
      "x-bowline-zzz",
      "2",
      "b",
      "3",
      "x-bowline-peer",
      "p",
      "c",
      "4",
    ];
    expect(takeMeshHeaders(headers)).toEqual({ port: "80", peer: "p", clientCert: undefined });
    expect(headers).toEqual(["a", "1", "b", "3", "c", "4"]);
    expect(takeMeshHeaders(headers)).toEqual({ port: undefined, peer: undefined, clientCert: undefined });
    expect(headers).toHaveLength(6);
  });

  test("removeMeshHeaders() does the same where nobody asks for them", () => {
    const headers = ["x-bowline-reply", "x", "a", "1", "x-bowline-", "y"];
    removeMeshHeaders(headers);
    expect(headers).toEqual(["a", "1"]);
    removeMeshHeaders(headers);
    expect(headers).toEqual(["a", "1"]);
  });

  test("isMeshHeader() knows the prefix alone", () => {
    expect(["x-bowline-a", "x-bowline-"].every(isMeshHeader)).toBe(true);
    expect(["x-bowline", "xx-bowline-a", "x-bow", "", "bowline-a"].some(isMeshHeader)).toBe(false);
  });
});

describe("what only proxies may say", () => {
  test("takeMeshHeaders() removes what Envoy's peers would believe", () => {
    const headers = [
      "x-envoy-original-path",
      "/admin",
      "x-forwarded-client-cert",
      "URI=spiffe://a/ns/b/sa/c",
      "x-e",
      "1",
    ];
    expect(takeMeshHeaders(headers).clientCert).toBe("URI=spiffe://a/ns/b/sa/c");
    expect(headers).toEqual(["x-e", "1"]);
  });

  test("takeMeshHeaders() removes what a program may take for such a field, and believes none of it", () => {
    const names = ["x_forwarded_client_cert", "x-forwarded_client-cert", "x_bowline_port", "x-bowline_peer"];
    const headers = [...names, "x_envoy_original_path"].flatMap((name) => [name, "forged"]).concat(
      "x_e",
      "1",
    );
    expect(takeMeshHeaders(headers, BROUGHT_BY_PROXIES)).toEqual({
      port: undefined,
      peer: undefined,
      clientCert: undefined,
    });
    expect(headers).toEqual(["x_e", "1"]);
  });

  test.each([
    ['URI=a;Subject="CN=b"', 'URI=a;Subject="CN=b"'],
    ['Subject="a \\"b\\", c";URI=d', 'Subject="a \\"b\\", c";URI=d'],
    ['URI=a;Subject="', undefined],
    ['URI=a;Subject="b\\"', undefined],
    ['URI=a;Subject="b"c"', undefined],
    ["URI=a\\", undefined],
  ])("takeMeshHeaders() takes no certificates whose quotes would swallow the next: %p", (value, taken) => {
    expect(takeMeshHeaders(["x-forwarded-client-cert", value]).clientCert).toBe(taken);
  });

  test("takeMeshHeaders() leaves what a proxy of the mesh brings, and takes certificates as one list", () => {
    const brought = [
      ...["x-envoy-original-path", "/", "x-envoy-external-address", "1.1.1.1"],
      ...["x-envoy-attempt-count", "2"],
    ];
    const headers = [
      ...brought,
      "x-forwarded-client-cert",
      "a",
      "x-envoy-x",
      "1",
      "x-forwarded-client-cert",
      "b",
    ];
    expect(takeMeshHeaders(headers, BROUGHT_BY_PROXIES).clientCert).toBe("a,b");
    expect(headers).toEqual(brought);
  });

  test("removeMeshHeaders() leaves an upstream Envoy's answers to a client", () => {
    const headers = ["x-envoy-upstream-service-time", "3", "x-bowline-reply", "NR"];
    removeMeshHeaders(headers);
    expect(headers).toEqual(["x-envoy-upstream-service-time", "3"]);
  });

  test("clientCertificateValue() has Envoy's form", () => {
    expect(clientCertificateValue("spiffe://td/ns/a/sa/b", "spiffe://td/ns/c/sa/d", "0f"))
      .toBe('By=spiffe://td/ns/a/sa/b;Hash=0f;Subject="";URI=spiffe://td/ns/c/sa/d');
  });
});

describe("describePeer()", () => {
  test("describePeer() and readPeer() are each other's inverse", () => {
    const peer = { ...workload("cart"), app: "shop", version: "v2" };
    expect(readPeer(describePeer(peer), IDENTITY, PRINCIPAL)).toEqual({
      key: "web/cart",
      namespace: "web",
      name: "cart",
      principal: PRINCIPAL,
      app: "shop",
      version: "v2",
    });
  });

  test("describePeer() replaces what could end a part, a field or a line", () => {
    // Written as Latin-1, U+010A and U+010D would be a line feed and a carriage return.
    const peer = { ...workload("a;b"), app: "x\r\ny: z", version: "\u010d\u010a\u00e9 1" };
    expect(describePeer(peer)).toBe("a_b;x__y:_z;____1");
  });
});

describe("PeerDescriptions", () => {
  test("PeerDescriptions admits so many of an identity, those that it has again, and of another as many", () => {
    const descriptions = new PeerDescriptions();
    const all = Array.from({ length: DESCRIPTIONS_PER_IDENTITY_MAX }, (_, i) => `caller-${i};a;v1`);
    for (const one of [...all, ...all]) expect(descriptions.admit(PRINCIPAL, one)).toBe(one);
    expect(descriptions.admit(PRINCIPAL, "one;more;v1")).toBeUndefined();
    expect(descriptions.admit(`${PRINCIPAL}2`, "one;more;v1")).toBe("one;more;v1");
  });

  test("PeerDescriptions keeps none that is too long", () => {
    const descriptions = new PeerDescriptions();
    const longest = "x".repeat(PEER_LENGTH_MAX);
    expect(descriptions.admit(PRINCIPAL, longest)).toBe(longest);
    expect(descriptions.admit(PRINCIPAL, `${longest}x`)).toBeUndefined();
  });
});

describe("readPeer()", () => {
  test("readPeer() believes the namespace and identity of the certificate alone", () => {
    const peer = readPeer("admin/root;app;v1", IDENTITY, PRINCIPAL);
    expect(peer).toMatchObject({ namespace: "web", principal: PRINCIPAL, key: "web/admin/root" });
  });

  test("readPeer() falls back to the service account, and ignores what is too long", () => {
    expect(readPeer(undefined, IDENTITY, PRINCIPAL)).toMatchObject({
      name: "caller",
      app: "caller",
      version: "latest",
    });
    const longest = "x".repeat(PEER_LENGTH_MAX);
    expect(readPeer(longest, IDENTITY, PRINCIPAL).name).toBe(longest);
    expect(readPeer(`${longest}x`, IDENTITY, PRINCIPAL).name).toBe("caller");
  });
});
