/** What clients outside can and cannot make a request say. */
import { describe, expect, test } from "bun:test";
import { Prng } from "../../../../src/lib/prng.ts";
import { type EdgeClient, setEdgeHeaders } from "../../../../src/proxy/filters/edge_headers.ts";
import { isTraceparent } from "../../../../src/telemetry/trace_context.ts";

const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CLIENT: EdgeClient = { address: "198.51.100.7", scheme: "https", certificate: null };

function edged(headers: readonly string[], client = CLIENT) {
  const head = {
    method: "GET",
    scheme: "http",
    authority: "a",
    path: "/",
    headers: [...headers],
    bodyLength: 0,
  } as Parameters<typeof setEdgeHeaders>[0];
  setEdgeHeaders(head, client, new Prng(1));
  return head;
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
    expect(values(edged([], { ...CLIENT, certificate: "Hash=1" }).headers, name)).toEqual(["Hash=1"]);
  });
});
