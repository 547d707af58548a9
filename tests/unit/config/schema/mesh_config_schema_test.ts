/** The traps of MeshConfig and ProxyConfig that show in their schemas. */
import { describe, expect, test } from "bun:test";
import { specFaults, specOf } from "../config_texts.ts";

describe("MeshConfig", () => {
  test("comes out with Istio's defaults", () => {
    expect(specOf("MeshConfig", "trustDomainAliases: [old.local]")).toEqual({
      outboundTrafficPolicy: { mode: "ALLOW_ANY" },
      defaultHttpRetryPolicy: null,
      localityLbSetting: null,
      pathNormalization: { normalization: "DEFAULT" },
      protocolDetectionTimeout: null,
      connectTimeout: 10_000,
      tcpKeepalive: null,
      enableAutoMtls: true,
      trustDomain: null,
      trustDomainAliases: ["old.local"],
      rootNamespace: "istio-system",
      defaultServiceExportTo: [],
      defaultVirtualServiceExportTo: [],
      defaultDestinationRuleExportTo: [],
      extensionProviders: [],
      defaultConfig: {
        concurrency: null,
        gatewayTopology: { numTrustedProxies: 0, forwardClientCertDetails: "UNDEFINED" },
      },
    });
  });

  test("has what stands before gateways", () => {
    const faults = (topology: string) =>
      specFaults("MeshConfig", `defaultConfig: {gatewayTopology: {${topology}}}`);
    expect(faults("numTrustedProxies: 2, forwardClientCertDetails: APPEND_FORWARD")).toEqual([]);
    expect(faults("numTrustedProxies: -1")).toHaveLength(1);
    expect(faults("numTrustedProxies: 1.5")).toHaveLength(1);
    expect(faults("forwardClientCertDetails: FORWARD")).toHaveLength(1);
    expect(faults("proxyProtocol: {}")[0]).toStartWith("BOW0004");
  });

  test("what it does not do is refused by name", () => {
    expect(
      specFaults("MeshConfig", "accessLogFile: /dev/stdout\nenabelAutoMtls: true").map((fault) =>
        fault.slice(0, 7)
      ),
    )
      .toEqual(["BOW0004", "BOW0003"]);
  });
});

test("ProxyConfig has a concurrency", () => {
  expect(specOf("ProxyConfig", "concurrency: 0")).toEqual({ selector: null, concurrency: 0 });
  expect(specFaults("ProxyConfig", "concurrency: -1")).toHaveLength(1);
});
