import { describe, expect, test } from "bun:test";
import { NO_CONDITIONS, type RedirectAction } from "../../../../src/model/route.ts";
import { redirectLocation } from "../../../../src/proxy/route/redirect.ts";
import { requestHead } from "../request_head.ts";

function location(redirect: Partial<RedirectAction>, authority = "shop:8080", path = "/a/b?q=1"): string {
  const match = { ...NO_CONDITIONS, path: { type: "prefix", value: "/a" } as const };
  const action = { type: "redirect", code: 301, path: null, authority: null, scheme: null, port: null };
  return redirectLocation(
    { ...action, ...redirect } as RedirectAction,
    requestHead({ authority, path }),
    match,
  );
}

describe("redirectLocation()", () => {
  test("keeps what is not replaced", () => {
    expect(location({ authority: "other" })).toBe("http://other/a/b?q=1");
    expect(location({ scheme: "https" })).toBe("https://shop:8080/a/b?q=1");
    expect(location({ path: { type: "full", value: "/c" } })).toBe("http://shop:8080/c?q=1");
  });

  test("replaces the path as a whole, and the query only by another one", () => {
    expect(location({ path: { type: "full", value: "/c?r=2" } })).toBe("http://shop:8080/c?r=2");
    expect(location({ path: { type: "matched", value: "/c" } })).toBe("http://shop:8080/c/b?q=1");
  });

  test("takes the place of the port that was asked for", () => {
    expect(location({ port: 9090 })).toBe("http://shop:9090/a/b?q=1");
    expect(location({ port: 9090, authority: "other" })).toBe("http://other:9090/a/b?q=1");
    expect(location({ port: 9090 }, "[::1]:8080")).toBe("http://[::1]:9090/a/b?q=1");
    expect(location({ port: 9090 }, "[::1]")).toBe("http://[::1]:9090/a/b?q=1");
  });

  test.each([
    [{ port: 80 }, "shop:8080", "http://shop/a/b?q=1"],
    [{ port: 443, scheme: "https" }, "shop:8080", "https://shop/a/b?q=1"],
    [{ port: 443 }, "shop", "http://shop:443/a/b?q=1"],
    [{ port: 80, scheme: "https" }, "shop", "https://shop:80/a/b?q=1"],
    // The default of the scheme that is left behind.
    [{ scheme: "https" }, "shop:80", "https://shop/a/b?q=1"],
    [{ scheme: "https" }, "shop:443", "https://shop:443/a/b?q=1"],
    [{ authority: "other" }, "shop:80", "http://other/a/b?q=1"],
    [{ path: { type: "full" as const, value: "/" } }, "shop:80", "http://shop:80/?q=1"],
  ])("drops default ports as Envoy does: %p of %s", (redirect, authority, expected) => {
    expect(location(redirect, authority)).toBe(expected);
  });
});
