import { expect, test } from "bun:test";
import { certificateExpiries } from "../../../src/identity/certificate_expiries.ts";
import { makeAuthority } from "../citadel/authority/plugged_files.ts";
import { START_MS } from "../citadel/test_citadel.ts";

test("certificateExpiries() tells of the leaf, the first intermediate to end, and the root that they lead to", async () => {
  const end = (seconds: number) => START_MS + seconds * 1000;
  const root = await makeAuthority({ notAfterMs: end(40) });
  const other = await makeAuthority({ name: "CN=other", notAfterMs: end(5) });
  const upper = await makeAuthority({ issuer: root, name: "CN=upper", notAfterMs: end(20) });
  const lower = await makeAuthority({ issuer: upper, name: "CN=lower", notAfterMs: end(30) });
  const leaf = await makeAuthority({ issuer: lower, name: "CN=leaf", isCa: false, notAfterMs: end(10) });
  const roots = other.pem + root.pem;
  expect(certificateExpiries(leaf.pem + lower.pem + upper.pem, roots)).toEqual([
    { kind: "leaf", notAfterMs: end(10) },
    { kind: "intermediate", notAfterMs: end(20) },
    { kind: "root", notAfterMs: end(40) },
  ]);
  expect(certificateExpiries(upper.pem, roots)).toEqual([
    { kind: "leaf", notAfterMs: end(20) },
    { kind: "root", notAfterMs: end(40) },
  ]);
});
