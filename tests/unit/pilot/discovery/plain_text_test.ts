import { describe, expect, test } from "bun:test";
import { contentHash } from "../../../../src/lib/hash.ts";
import type { InboundMtls } from "../../../../src/model/policy.ts";
import type { ProxySettings, VersionedResource } from "../../../../src/model/snapshot.ts";
import { withPlainTextOf } from "../../../../src/pilot/discovery/plain_text.ts";

type Said = Pick<ProxySettings, "mtls"> & { readonly at?: Readonly<Record<number, InboundMtls>> };

/** Settings with these modes of declared ports, and that of all others. */
function settings({ mtls, at = {} }: Said): VersionedResource {
  const service = { host: "web.shop", name: "web", namespace: "shop" };
  const body = {
    kind: "proxy",
    name: "self",
    inbound: Object.entries(at).map(([port, mode]) => ({
      port: Number(port),
      service,
      ...(mode === "strict" ? { mtls: mode } : {}),
    })),
    ...(mtls === undefined ? {} : { mtls }),
  } as unknown as ProxySettings;
  return { version: contentHash(body), body };
}

const strictBut = (...exceptPorts: number[]) => ({ mode: "strict", exceptPorts }) as const;
const permissiveBut = (...exceptPorts: number[]) => ({ mode: "permissive", exceptPorts }) as const;

function joined(own: Said, other: Said) {
  const { body } = withPlainTextOf(settings(other), settings(own));
  if (body.kind !== "proxy") throw new Error("no settings");
  return {
    mtls: body.mtls,
    strict: body.inbound.filter(({ mtls }) => mtls === "strict").map(({ port }) => port),
  };
}

describe("withPlainTextOf()", () => {
  test.each<[string, Said, Said, ReturnType<typeof joined>]>([
    [
      "a declared port that took it",
      { at: { 80: "strict", 81: "strict" } },
      { at: { 80: "permissive", 81: "strict" } },
      { mtls: undefined, strict: [81] },
    ],
    ["all other ports, which took it", { mtls: strictBut() }, {}, { mtls: undefined, strict: [] }],
    [
      "one that was an exception",
      { mtls: strictBut() },
      { mtls: strictBut(22) },
      { mtls: strictBut(22), strict: [] },
    ],
    [
      "all but one that was an exception",
      { mtls: strictBut() },
      { mtls: permissiveBut(22) },
      { mtls: permissiveBut(22), strict: [] },
    ],
    [
      "one that is no exception any more",
      { mtls: permissiveBut(22, 23) },
      { mtls: permissiveBut(23) },
      { mtls: permissiveBut(23), strict: [] },
    ],
    [
      "one that was declared by none",
      { at: { 80: "strict" } },
      { mtls: strictBut(80) },
      { mtls: undefined, strict: [] },
    ],
    [
      "one that is declared no more",
      { mtls: strictBut() },
      { mtls: strictBut(), at: { 80: "permissive" } },
      { mtls: strictBut(80), strict: [] },
    ],
  ])("withPlainTextOf() opens %s", (_what, own, other, expected) => {
    expect(joined(own, other)).toEqual(expected);
  });

  test("withPlainTextOf() is the same object where nothing more is taken", () => {
    const own = settings({ mtls: strictBut(22), at: { 80: "strict", 81: "permissive" } });
    const other = settings({ mtls: strictBut(), at: { 80: "strict", 81: "strict" } });
    expect(withPlainTextOf(other, own)).toBe(own);
    expect(withPlainTextOf(own, own)).toBe(own);
  });

  test("withPlainTextOf() has another version where more is taken", () => {
    const [own, other] = [settings({ mtls: strictBut() }), settings({})];
    expect(withPlainTextOf(other, own).version).toBe(other.version);
    expect(withPlainTextOf(other, own)).toBe(withPlainTextOf(other, own));
  });
});
