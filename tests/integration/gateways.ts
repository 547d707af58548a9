/** The workload `edge/ingress`, its Gateways, and rules of `shop` for them. */

export function ingress(address: string): string {
  return `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: ingress
  namespace: edge
  labels: { istio: ingressgateway, security.istio.io/tlsMode: disabled }
spec: { address: ${address}, serviceAccount: ingress }
`;
}

/** `servers` is their list, in YAML, without indentation. */
export function gateway(name: string, servers: string): string {
  return `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: ${name}, namespace: edge }
spec:
  selector: { istio: ingressgateway }
  servers:
${indented(servers)}
`;
}

/** `rules` is `http`, `tls` and `tcp`, in YAML, without indentation. */
export function routes(name: string, host: string, rules: string, gateways = "edge/main"): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: shop }
spec:
  hosts: ["${host}"]
  gateways: [${gateways}]
${indented(rules)}
`;
}

export const TO_WEB = "http: [{ route: [{ destination: { host: web } }] }]";

function indented(text: string): string {
  return text.trim().split("\n").map((line) => `  ${line}`).join("\n");
}
