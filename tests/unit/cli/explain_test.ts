import { describe, test } from "bun:test";
import { explainText } from "../../../src/cli/explain_text.ts";
import type { ResourceSet } from "../../../src/config/resource.ts";
import { fileSnapshots } from "../../../src/pilot/translate.ts";
import { explain } from "../../../src/proxy/explain/explain.ts";
import { readExplainRequest } from "../../../src/proxy/explain/request.ts";
import { golden } from "../../golden.ts";
import { TRUST_DOMAIN } from "../pilot/fixture.ts";
import {
  ACTIONS,
  BROKEN,
  CALLS,
  DESTINATIONS,
  EDGE,
  EGRESS,
  GUARDED,
  POLICIES,
  RIVALS,
  SAFARI,
  SCOPED,
  STAFF,
  TOKENS,
  TUNED,
  TUTORIAL,
  UNBOUND,
  UPSTREAM,
} from "./explained_meshes.ts";

interface Asked {
  /** Null: bytes. @default "GET" */
  readonly method?: string | null;
  readonly headers?: readonly string[];
  readonly claims?: string;
  readonly client?: string;
}

const GRPC = { method: "POST", headers: ["content-type: application/grpc+proto"] };

const CASES: readonly [name: string, mesh: ResourceSet, from: string, url: string, asked?: Asked][] = [
  ["weighted", TUTORIAL, "tutorial/preference", "http://recommendation:8080/"],
  ["no_virtual_service", TUTORIAL, "tutorial/customer", "http://preference:8080/"],
  ["portless", TUTORIAL, "tutorial/preference", "http://recommendation/"],
  ["fqdn", TUTORIAL, "tutorial/preference", "recommendation.tutorial.svc.cluster.local:8080/some/path?q=1"],
  ["endpoint_address", TUTORIAL, "tutorial/preference", "http://127.0.0.22:8080/"],
  ["unknown_host", TUTORIAL, "tutorial/customer", "http://example.com/"],
  ["misspelt_host", TUTORIAL, "tutorial/customer", "http://recomendation:8080/"],
  ["hidden_by_sidecar", SCOPED, "shop/web", "http://cart:8080/"],
  ["hidden_by_export", SCOPED, "shop/web", "http://ledger.pay:8080/"],
  ["hidden_destination", SCOPED, "shop/web", "http://front:8080/"],
  ["wrong_port", TUTORIAL, "tutorial/customer", "http://recommendation:9090/"],
  ["https", TUTORIAL, "tutorial/customer", "https://preference:8080/"],
  ["safari_match", SAFARI, "tutorial/preference", "http://recommendation:8080/", {
    headers: ["Baggage-User-Agent: Mozilla/5.0 (Macintosh) Safari/605.1.15"],
  }],
  ["safari_no_match", SAFARI, "tutorial/preference", "http://recommendation:8080/", {
    headers: ["baggage-user-agent: Firefox"],
  }],
  ["safari_no_header", SAFARI, "tutorial/preference", "http://recommendation:8080/"],
  ["unknown_subset", BROKEN, "shop/web", "http://reviews:9080/api", { method: "POST" }],
  ["alternative_match", BROKEN, "shop/web", "http://reviews:9080/", { headers: ["x-debug: on"] }],
  ["partly_broken", BROKEN, "shop/web", "http://reviews:9080/split"],
  ["gateway_bytes", EGRESS, "edge/egress", "https://api.partner.example:8443/"],
  ["gateway_host", EGRESS, "edge/egress", "https://api.partner.example:8080/"],
  ["gateway_https", EDGE, "edge/in", "https://web.test/api"],
  ["gateway_no_host", EGRESS, "edge/egress", "https://other.example:8080/"],
  ["gateway_unbound", UNBOUND, "edge/in", "http://web.test/"],
  ["gateway_unbound_host", UNBOUND, "edge/in", "http://a.web.test/"],
  ["gateway_no_port", EGRESS, "edge/egress", "http://api.partner.example/"],
  ["gateway_no_rule", EDGE, "edge/in", "https://web.test/"],
  ["gateway_no_server", EDGE, "edge/in", "https://other.test/"],
  ["gateway_redirect", EDGE, "edge/in", "http://web.test/api"],
  ["plain_text", BROKEN, "shop/web", "http://reviews:9080/?all"],
  ["no_rule_matches", BROKEN, "shop/web", "http://reviews:9080/"],
  ["rivals", RIVALS, "shop/web", "http://cart:8080/two"],
  ["redirect", ACTIONS, "shop/web", "http://cart:8080/old/x?q=1"],
  ["direct_response", ACTIONS, "shop/web", "http://cart:8080/closed"],
  ["abort", ACTIONS, "shop/web", "http://cart:8080/broken"],
  ["every_field", ACTIONS, "shop/web", "http://cart:8080/full/x?q=1"],
  ["preflight", ACTIONS, "shop/web", "http://cart:8080/full", {
    method: "OPTIONS",
    headers: ["Origin: https://shop.example.com", "Access-Control-Request-Method: PUT"],
  }],
  ["no_retries", ACTIONS, "shop/web", "http://cart:8080/once", { method: "POST" }],
  ["delegate", ACTIONS, "shop/web", "http://cart:8080/team"],
  ["tls_origination", DESTINATIONS, "shop/web", "http://api.example.com/"],
  ["destination_rule", DESTINATIONS, "shop/web", "http://cart/beta/x"],
  ["registry_only", DESTINATIONS, "shop/web", "http://nobody.test/"],
  ["every_policy", POLICIES, "shop/web", "http://cart:8080/"],
  ["tuned", TUNED, "shop/web", "http://cart:8080/"],
  ["tuned_cookie", TUNED, "shop/web", "http://files:8080/"],
  ["upstream_fields", UPSTREAM, "shop/web", "http://cart:8080/"],
  ["revocation_list", UPSTREAM, "shop/web", "http://files:8080/"],
  ["token_none", TOKENS, "shop/client", "http://web:8080/"],
  ["token_unread", TOKENS, "shop/client", "http://web:8080/", { headers: ["Authorization: Bearer x.y.z"] }],
  ["token_taken", TOKENS, "shop/client", "http://web:8080/", { claims: STAFF }],
  ["token_refused", TOKENS, "shop/client", "http://web:8080/", { claims: STAFF.replace('"web"', '"app"') }],
  ["token_gateway", TOKENS, "edge/in", "http://web.test/", { claims: STAFF }],
  ["token_gateway_refused", TOKENS, "edge/in", "http://web.test/", {
    claims: STAFF.replace("https://issuer.test", "https://other.test"),
  }],
  ["token_gateway_none", TOKENS, "edge/in", "http://web.test/"],
  ["grpc_answered", CALLS, "shop/client", "http://ledger:9000/ledger.Admin/Stop", GRPC],
  ["grpc_aborted", CALLS, "shop/client", "http://ledger:9000/ledger.Busy/Add"],
  ["grpc_denied", CALLS, "shop/client", "http://ledger:9000/ledger.Ledger/Add", GRPC],
  ["grpc_port_denied", CALLS, "shop/client", "http://ledger:9000/ledger.Ledger/Add", { method: "POST" }],
  ["guarded_asked", GUARDED, "edge/in", "http://web.test/admin", { client: "203.0.113.7" }],
  ["guarded_bytes", GUARDED, "edge/in", "tcp://web.test:90", { method: null, client: "203.0.113.7" }],
  ["guarded_denied", GUARDED, "edge/in", "http://web.test/admin", { client: "198.51.100.7" }],
  ["guarded_name", GUARDED, "edge/in", "https://web.test/", { method: "PUT", client: "198.51.100.7" }],
  ["guarded_unallowed", GUARDED, "edge/in", "http://web.test/", { method: "PUT", client: "198.51.100.7" }],
  ["guarded_unknown", GUARDED, "edge/in", "http://web.test/", { headers: ["X-Forwarded-For: 203.0.113.7"] }],
  ["no_endpoints", BROKEN, "shop/web", "http://empty:8080/"],
];

describe("the answers of explain", () => {
  for (const [name, resources, from, url, asked = {}] of CASES) {
    const { method = "GET", headers = [], ...more } = asked;
    test(`explain() and explainText() say of ${name} what the golden files say`, () => {
      const receiver = fileSnapshots(resources, TRUST_DOMAIN);
      const snapshot = receiver(from);
      if (snapshot === undefined) throw new Error(`There is no workload ${from}`);
      const explained = explain(
        snapshot,
        readExplainRequest(method, url, headers, more),
        receiver,
      );
      golden(`cli/explain/${name}.json`, JSON.stringify(explained.explanation, null, 2));
      golden(`cli/explain/${name}.txt`, explainText(explained));
    });
  }
});
