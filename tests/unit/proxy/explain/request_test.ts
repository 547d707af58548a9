import { describe, expect, test } from "bun:test";
import { headerValue } from "../../../../src/proxy/exchange.ts";
import { ExplainRequestError, readExplainRequest } from "../../../../src/proxy/explain/request.ts";

describe("readExplainRequest()", () => {
  test.each([
    ["http://reviews", "reviews", "/"],
    ["http://reviews/", "reviews", "/"],
    ["http://reviews:9080/a/b?c=d&e", "reviews:9080", "/a/b?c=d&e"],
    ["HTTP://Reviews:80/a", "Reviews:80", "/a"],
    ["http://reviews?q=1", "reviews", "/?q=1"],
    ["http://reviews/a#part", "reviews", "/a"],
    ["reviews/a", "reviews", "/a"],
    ["reviews:9080", "reviews:9080", "/"],
    ["reviews.default.svc.cluster.local:9080/x", "reviews.default.svc.cluster.local:9080", "/x"],
    ["http://[2001:db8::1]:8080/x", "[2001:db8::1]:8080", "/x"],
    ["10.0.0.1/a//b", "10.0.0.1", "/a/b"],
    ["reviews/a/%2e%2e/%61dmin?x=%2f", "reviews", "/admin?x=%2f"],
  ])("reads %j as authority %j and path %j", (url, authority, path) => {
    const request = readExplainRequest("GET", url, []);
    expect(request).toMatchObject({ url, scheme: "http" });
    expect(request.head).toMatchObject({ method: "GET", scheme: "http", authority, path });
  });

  test("refuses a path that the proxy refuses, and says why", () => {
    const refused = () => readExplainRequest("GET", "reviews/public/..;/admin", []);
    expect(refused).toThrow(ExplainRequestError);
    expect(refused).toThrow(
      "The proxy would answer this request 400 (path_normalization_failed{dot_parameters}): The path has",
    );
  });

  test("keeps the scheme of an https URL apart from the head", () => {
    expect(readExplainRequest("GET", "https://reviews/", [])).toMatchObject({
      scheme: "https",
      head: { scheme: "http", authority: "reviews" },
    });
  });

  test("reads bytes as the CONNECT that stands for them", () => {
    expect(readExplainRequest(null, "TCP://Db.test:5432/", [])).toMatchObject({
      scheme: "tcp",
      head: { method: "CONNECT", authority: "Db.test:5432", path: "", headers: [], tunnel: "connect" },
    });
  });

  test.each(
    [
      ["url", "names no port", [null, "tcp://db", []]],
      ["url", "names no host", [null, "tcp://.:1", []]],
      ["url", 'this has "/x"', [null, "tcp://db:1/x", []]],
      ["method", 'this has "GET"', ["GET", "tcp://db:1", []]],
      ["header", 'this has "a: b"', [null, "tcp://db:1", ["a: b"]]],
      ["claims", 'this has "{}"', [null, "tcp://db:1", [], { claims: "{}" }]],
    ] as const,
  )("refuses bytes with a wrong %s: %s", (code, message, [method, url, headers, options]) => {
    const refused = () => readExplainRequest(method, url, headers, options);
    expect(refused).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
  });

  test("lowers the names of headers and trims their values", () => {
    const { head } = readExplainRequest("POST", "reviews/", ["X-User:  ann b ", "empty:", "a: b: c"]);
    expect(head.headers.slice(0, 6)).toEqual(["x-user", "ann b", "empty", "", "a", "b: c"]);
  });

  test("has values as the bytes that travel", () => {
    const { head } = readExplainRequest("GET", "reviews/", ["x-name: é"]);
    expect(headerValue(head.headers, "x-name")).toBe("\u00c3\u00a9");
  });

  test("lets a Host header beat the URL", () => {
    const { head } = readExplainRequest("GET", "http://127.0.0.1:15001/", ["Host: reviews:9080"]);
    expect(head.authority).toBe("reviews:9080");
    expect(headerValue(head.headers, "host")).toBeUndefined();
  });

  test("sees what the proxy sees: trace headers, and nothing of a connection or of the mesh's own", () => {
    const { head } = readExplainRequest("GET", "reviews/", [
      "connection: x-hop",
      "x-hop: 1",
      "content-length: 0",
      "x-bowline-port: 1",
      "x-user: ann",
    ]);
    const names = head.headers.filter((_, index) => index % 2 === 0);
    expect(names).toEqual(["x-user", "x-request-id", "x-forwarded-proto", "traceparent"]);
    expect(readExplainRequest("GET", "reviews/", []).head).toEqual(
      readExplainRequest("GET", "reviews/", []).head,
    );
  });

  test.each([
    ["a blank", "GET", "http://a b/", [], "url"],
    ["a host that is not ASCII", "GET", "http://bücher.example/", [], "url"],
    ["another scheme", "GET", "ftp://reviews/", [], "url"],
    ["no URL", "GET", "", [], "url"],
    ["no host", "GET", "/path", [], "url"],
    ["a port without a host", "GET", "http://:80/", [], "url"],
    ["an empty port", "GET", "http://reviews:/", [], "url"],
    ["a port of 0", "GET", "http://reviews:0/", [], "url"],
    ["a port of 65536", "GET", "http://reviews:65536/", [], "url"],
    ["a port that is no number", "GET", "http://reviews:http/", [], "url"],
    ["credentials", "GET", "http://ann:secret@reviews/", [], "url"],
    ["a bare IPv6 address", "GET", "http://::1/", [], "url"],
    ["a method that is no token", "http://reviews/", "GET", [], "method"],
    ["CONNECT", "CONNECT", "reviews:80", [], "method"],
    ["a header without a colon", "GET", "reviews/", ["x-user"], "header"],
    ["a header without a name", "GET", "reviews/", [": ann"], "header"],
    ["a name with a blank", "GET", "reviews/", ["x user: ann"], "header"],
    ["a line break in a value", "GET", "reviews/", ["x-user: a\r\nx-admin: 1"], "header"],
    ["a header without its quotes", "ann", "reviews/", ["x-user:"], "header"],
    ["a Host that names no host", "GET", "reviews/", ["host:"], "header"],
    ["a Host with a port of 0", "GET", "reviews/", ["host: a:0"], "header"],
    ["two Hosts", "GET", "reviews/", ["host: a", "Host: b"], "refused"],
    ["a length that is none", "GET", "reviews/", ["content-length: x"], "refused"],
  ])("refuses %s", (_what, method, url, headers, code) => {
    const read = () => readExplainRequest(method, url, headers);
    expect(read).toThrow(ExplainRequestError);
    expect(read).toThrow(expect.objectContaining({ code }));
  });

  test("takes an empty header beside whatever is a method, and says how one without its quotes was meant", () => {
    const read = (method: string) => readExplainRequest(method, "reviews/", ["x-user:"]);
    expect(read("PURGE").head.method).toBe("PURGE");
    expect(() => read("ann")).toThrow(
      'Header "x-user:" is empty, and "ann" is the method; did you mean \'x-user: ann\'?',
    );
  });

  test("takes the greatest port", () => {
    expect(readExplainRequest("GET", "reviews:65535", []).head.authority).toBe("reviews:65535");
  });
});
