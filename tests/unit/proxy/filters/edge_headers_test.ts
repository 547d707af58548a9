/** What clients outside can and cannot make a request say. */
import { describe, expect, test } from "bun:test";
import { Prng } from "../../../../src/lib/prng.ts";
import {
  CLIENT_CERT_FORWARDING,
  type GatewayTopology,
  NO_PROXIES_BEFORE,
} from "../../../../src/model/gateway_topology.ts";
import { type EdgeClient, setEdgeHeaders } from "../../../../src/proxy/filters/edge_headers.ts";
import { isTraceparent } from "../../../../src/telemetry/trace_context.ts";
import { requestHead } from "../request_head.ts";

const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CLIENT: EdgeClient = { address: "198.51.100.7", scheme: "https", certificate: null };

interface Said {
  readonly client?: EdgeClient;
  readonly topology?: Partial<GatewayTopology>;
  readonly clientCert?: string;
}

function edged(headers: readonly string[], { client = CLIENT, topology = {}, clientCert }: Said = {}) {
  const head = requestHead({ headers: [...headers] });
  const rules = { topology: { ...NO_PROXIES_BEFORE, ...topology }, clientCert };
  const address = setEdgeHeaders(head, client, rules, new Prng(1));
  return { ...head, address };
}

/** All values of a field. */
function values(headers: readonly string[], name: string): string[] {
  return headers.filter((_, i) => i % 2 === 1 && headers[i - 1] === name);
}

describe("setEdgeHeaders()", () => {
  test("setEdgeHeaders() puts the client's address behind all that is said of others, as one field", () => {
    const { headers } = edged([
      "x-forwarded-for",
      "1.1.1.1",
      "a",
      "b",
      "x-forwarded-for",
      "2.2.2.2, 3.3.3.3",
    ]);
    expect(values(headers, "x-forwarded-for")).toEqual(["1.1.1.1,2.2.2.2, 3.3.3.3,198.51.100.7"]);
    expect(values(edged([]).headers, "x-forwarded-for")).toEqual(["198.51.100.7"]);
    expect(values(headers, "a")).toEqual(["b"]);
  });

  test("setEdgeHeaders() lets nobody without an address have the last word about it", () => {
    const client = { ...CLIENT, address: null };
    const told = edged(["x-forwarded-for", "1.1.1.1"], { client });
    expect(values(told.headers, "x-forwarded-for")).toEqual(["1.1.1.1,unknown"]);
    expect(told.address).toBeNull();
    const believed = edged(["x-forwarded-for", "1.1.1.1"], { client, topology: { trustedProxies: 1 } });
    expect([believed.address, ...values(believed.headers, "x-envoy-external-address")])
      .toEqual(["1.1.1.1", "1.1.1.1"]);
    const unsaid = edged([], { client, topology: { trustedProxies: 1 } });
    expect([unsaid.address, values(unsaid.headers, "x-envoy-external-address")]).toEqual([null, []]);
  });

  test("setEdgeHeaders() says what was spoken and makes a request ID, whatever the client says", () => {
    const { headers, scheme } = edged([
      "x-request-id",
      "mine",
      "x-forwarded-proto",
      "http",
      "x-request-id",
      "too",
    ]);
    expect(scheme).toBe("https");
    expect(values(headers, "x-forwarded-proto")).toEqual(["https"]);
    expect(values(headers, "x-request-id")).toHaveLength(1);
    expect(values(headers, "x-request-id")[0]).not.toBe("mine");
  });

  test("setEdgeHeaders() goes on with a trace, the first that is one, and else begins one", () => {
    const broken = "00-nothing";
    expect(values(edged(["traceparent", broken, "traceparent", TRACEPARENT]).headers, "traceparent"))
      .toEqual([TRACEPARENT]);
    const [begun = ""] = values(edged(["traceparent", broken]).headers, "traceparent");
    expect(isTraceparent(begun)).toBe(true);
  });

  test("setEdgeHeaders() tells of a certificate, and only of one that was shown", () => {
    const name = "x-forwarded-client-cert";
    expect(values(edged([]).headers, name)).toEqual([]);
    expect(values(edged([], { client: { ...CLIENT, certificate: "Hash=1" } }).headers, name)).toEqual([
      "Hash=1",
    ]);
  });

  test("setEdgeHeaders() takes the client from as many proxies as it is told to believe", () => {
    const said = ["x-forwarded-for", "1.1.1.1, 2.2.2.2", "x-forwarded-for", "3.3.3.3"];
    const at = (trustedProxies: number) => edged(said, { topology: { trustedProxies } });
    expect([0, 1, 2, 3, 4].map((number) => at(number).address))
      .toEqual(["198.51.100.7", "3.3.3.3", "2.2.2.2", "1.1.1.1", "198.51.100.7"]);
    const external = (number: number) => values(at(number).headers, "x-envoy-external-address");
    expect([0, 1, 4].map(external)).toEqual([[], ["3.3.3.3"], ["198.51.100.7"]]);
    const last = (text: string) =>
      edged(["x-forwarded-for", text], { topology: { trustedProxies: 1 } }).address;
    expect(["2001:db8::0:1", "3.3.3.3:80", "3.3.3.3,", "unknown", ""].map(last))
      .toEqual(["2001:db8::1", ...Array(4).fill("198.51.100.7")]);
  });

  test("setEdgeHeaders() believes what proxies before it say was spoken, if it is one thing", () => {
    const spoken = (trustedProxies: number, ...said: string[]) => {
      const fields = said.flatMap((value) => ["x-forwarded-proto", value]);
      const { scheme, headers } = edged(fields, {
        client: { ...CLIENT, scheme: "http" },
        topology: { trustedProxies },
      });
      expect(values(headers, "x-forwarded-proto")).toEqual([scheme as string]);
      return scheme;
    };
    expect([spoken(0, "https"), spoken(1, "HTTPS"), spoken(1), spoken(1, "ftp"), spoken(1, "https", "https")])
      .toEqual(["http", "https", "http", "http", "http"]);
  });

  test("setEdgeHeaders() does with certificates that a client tells of what the mesh says", () => {
    const sent = (rule: GatewayTopology["clientCert"]) =>
      [null, "Hash=own"].flatMap((certificate) =>
        [undefined, "Hash=said"].map((clientCert) => {
          const client = { ...CLIENT, certificate };
          const said = clientCert === undefined ? {} : { clientCert };
          const { headers } = edged([], { client, topology: { clientCert: rule }, ...said });
          return values(headers, "x-forwarded-client-cert").join(" and ");
        })
      );
    expect(Object.fromEntries(CLIENT_CERT_FORWARDING.map((rule) => [rule, sent(rule)]))).toEqual({
      SANITIZE: ["", "", "", ""],
      FORWARD_ONLY: ["", "", "", "Hash=said"],
      APPEND_FORWARD: ["", "", "Hash=own", "Hash=said,Hash=own"],
      SANITIZE_SET: ["", "", "Hash=own", "Hash=own"],
      ALWAYS_FORWARD_ONLY: ["", "Hash=said", "", "Hash=said"],
    });
  });
});
