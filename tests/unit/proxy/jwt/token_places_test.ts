/** Where tokens are found and taken out: nothing that a program behind the proxy could read as one is left over. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { TokenPlaces } from "../../../../src/proxy/jwt/token_places.ts";
import { head, rule } from "./tokens.ts";

const DEFAULT = new TokenPlaces(rule());
const NONE = { headers: [], params: [], cookies: [] };
const COOKIE = new TokenPlaces({ ...NONE, cookies: ["sid"] });
const OWN = new TokenPlaces({
  ...NONE,
  headers: [{ name: "x-token", prefix: "" }, { name: "x-jwt", prefix: "JWT " }],
});

test.each([
  [["authorization", "Bearer a.b.c"], ["a.b.c"]],
  [["authorization", "bearer a.b.c"], ["a.b.c"]],
  [["authorization", "Bearer   a.b.c  "], ["a.b.c"]],
  [["authorization", "Bearer\ta.b.c"], ["a.b.c"]],
  [["authorization", "Bearer a", "authorization", "Bearer b"], ["a", "b"]],
  [["authorization", "Basic eA==", "authorization", "Bearer b"], ["b"]],
  [["authorization", "Basic eA=="], null],
  [["authorization", "Bearer"], null],
  [["authorization", "BearerX a"], null],
  [["x-token", "a"], null],
  [[], null],
] as [string[], string[] | null][])("the fields %p have the tokens %p", (fields, tokens) => {
  expect(DEFAULT.find(head(fields))).toEqual(tokens);
});

test.each([
  ["/?access_token=a", ["a"], "/"],
  ["/x?access_token=a&b=c", ["a"], "/x?b=c"],
  ["/x?b=c&access_token=a&access_token=d&e", ["a", "d"], "/x?b=c&e"],
  ["/?access%5Ftoken=a%2Eb", ["a.b"], "/"],
  ["/?access_token", [""], "/"],
  ["/?access_token=", [""], "/"],
  ["/?Access_Token=a", null, "/?Access_Token=a"],
  ["/?%=%&access_token=%ff", ["%ff"], "/?%=%"],
  ["/access_token=a", null, "/access_token=a"],
  ["/?", null, "/?"],
] as [string, string[] | null, string][])(
  "the path %p has the tokens %p, and is %p without",
  (path, tokens, rest) => {
    const request = head([], path);
    expect(DEFAULT.find(request)).toEqual(tokens);
    DEFAULT.strip(request);
    expect(request.path).toBe(rest);
  },
);

test.each([
  [["cookie", "sid=a"], ["a"], []],
  [["cookie", 'x=1; sid="a"; y=2'], ["a"], ["cookie", "x=1; y=2"]],
  [["cookie", "sid=a;sid=b", "cookie", "z=3; sid=c"], ["a", "b", "c"], ["cookie", "z=3"]],
  [["cookie", "xsid=a; SID=b"], null, ["cookie", "xsid=a; SID=b"]],
  [["cookie", "sid"], [""], []],
] as [string[], string[] | null, string[]][])(
  "%p has the tokens %p, and is %p without",
  (fields, tokens, rest) => {
    const request = head(["a", "b", ...fields]);
    expect(COOKIE.find(request)).toEqual(tokens);
    COOKIE.strip(request);
    expect(request.headers).toEqual(["a", "b", ...rest]);
  },
);

test("named headers are looked at instead, each with its own prefix, whose case counts", () => {
  const fields = ["authorization", "Bearer a", "x-token", "b", "x-jwt", "JWT c", "x-jwt", "jwt d"];
  const request = head(fields, "/?access_token=e");
  expect(OWN.find(request)).toEqual(["b", "c"]);
  OWN.strip(request);
  expect(request.headers).toEqual(["authorization", "Bearer a", "x-jwt", "jwt d"]);
  expect(request.path).toBe("/?access_token=e");
});

test("what is taken out is not found again, and nothing else is taken out", () => {
  const everywhere = new TokenPlaces({
    headers: [{ name: "authorization", prefix: "Bearer " }],
    params: ["access_token", "a b"],
    cookies: ["sid"],
  });
  const field = fc.constantFrom("authorization", "cookie", "x", "cookie");
  const piece = fc.constantFrom(
    ...["Bearer ", "bearer x", "sid=1", "SID=2", "; ", ";", "=", "a", '"q"', "sid", " ", "Basic z"],
  );
  const value = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join("").trim());
  const pair = fc.constantFrom(
    ...["access_token=1", "a+b=2", "a%20b=3", "a=4", "%zz=5", "", "access%5ftoken", "x=access_token"],
  );
  fc.assert(fc.property(fc.array(fc.tuple(field, value)), fc.array(pair), (fields, pairs) => {
    const request = head(fields.flat(), `/p?${pairs.join("&")}`);
    const before = { headers: [...request.headers], path: request.path };
    const found = everywhere.find(request);
    everywhere.strip(request);
    expect(everywhere.find(request)).toBeNull();
    if (found === null) expect({ headers: request.headers, path: request.path }).toEqual(before);
    const others = (headers: readonly string[]) => headers.filter((_, i) => headers[i - (i % 2)] === "x");
    expect(others(request.headers)).toEqual(others(before.headers));
    const kept = pairs.filter((one) => /^(a=4|%zz=5|x=access_token)$/.test(one));
    expect(request.path.slice(3).split("&").filter((one) => one !== "")).toEqual(kept);
  }));
});
