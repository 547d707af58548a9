import { describe, expect, test } from "bun:test";
import { judgeServer, SERVER_NAMES_MAX } from "../../../src/identity/server_certificate.ts";
import { TestAuthority, type x509 } from "./odd_certificates.ts";

const authority = await TestAuthority.make();
const names: x509.JsonGeneralNames = [
  { type: "dns", value: "api.example.com" },
  { type: "dns", value: "*.Wild.example.com" },
  { type: "dns", value: "*.com" },
  { type: "ip", value: "10.1.2.3" },
  { type: "url", value: "spiffe://other/ns/a/sa/b" },
];
const { der } = await authority.issue({ names });

function verdict(...expected: string[]): string {
  const found = judgeServer({ error: null, certificate: { raw: der } }, expected);
  return found.ok ? "ok" : found.code;
}

describe("judgeServer()", () => {
  test.each([
    ["api.example.com", "ok"],
    ["API.example.com", "ok"],
    ["a.wild.example.com", "ok"],
    ["10.1.2.3", "ok"],
    ["spiffe://other/ns/a/sa/b", "ok"],
    ["wild.example.com", "name_differs"],
    ["a.b.wild.example.com", "name_differs"],
    [".wild.example.com", "name_differs"],
    ["other.com", "name_differs"],
    ["www.api.example.com", "name_differs"],
    ["10.1.2.4", "name_differs"],
    ["spiffe://other/ns/a/sa/c", "name_differs"],
    // What the subject's common name says.
    ["leaf", "name_differs"],
  ])("a certificate for several names and %s: %s", (name, expected) => {
    expect(verdict(name)).toBe(expected);
  });

  test("one of several expected names is enough, none never is", () => {
    expect(verdict("other.example.com", "api.example.com")).toBe("ok");
    expect(verdict()).toBe("name_differs");
  });

  test("a fault of the chain comes before any name; a name that Bun misses is none", () => {
    const told = (code: string) => {
      const error = Object.assign(new Error(code), { code });
      const found = judgeServer({ error, certificate: { raw: der } }, ["api.example.com"]);
      return found.ok ? "ok" : found.code;
    };
    expect(told("SELF_SIGNED_CERT_IN_CHAIN")).toBe("handshake_failed");
    expect(told("CERT_HAS_EXPIRED")).toBe("handshake_failed");
    expect(told("ERR_TLS_CERT_ALTNAME_INVALID")).toBe("ok");
  });

  test("no certificate and no readable certificate are refused", () => {
    const code = (raw?: Uint8Array) => judgeServer({ error: null, certificate: raw && { raw } }, ["a"]);
    expect(code()).toMatchObject({ ok: false, code: "certificate_missing" });
    expect(code(new Uint8Array([1, 2, 3]))).toMatchObject({ ok: false, code: "certificate_malformed" });
  });

  test("it reads as many names as public certificates have, and no more", async () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ type: "dns" as const, value: `n${i}.example.com` }));
    const judge = async (count: number) => {
      const leaf = await authority.issue({ names: many(count) });
      return judgeServer({ error: null, certificate: { raw: leaf.der } }, ["n0.example.com"]);
    };
    expect(await judge(SERVER_NAMES_MAX)).toEqual({ ok: true });
    expect(await judge(SERVER_NAMES_MAX + 1)).toMatchObject({ code: "certificate_malformed" });
  });
});
