/** What `explain` says of connections of which no request is read. */
import { describe, test } from "bun:test";
import { explainText } from "../../../src/cli/explain_text.ts";
import { fileSnapshots } from "../../../src/pilot/translate.ts";
import { explain } from "../../../src/proxy/explain/explain.ts";
import { readExplainRequest } from "../../../src/proxy/explain/request.ts";
import { golden } from "../../golden.ts";
import { load, resource, TRUST_DOMAIN, workloadEntry } from "../pilot/fixture.ts";

/** A database that takes bytes, in two versions, and a partner's servers that are told by their names. */
const BYTES = load(
  resource(
    "Service shop/db",
    "{selector: {app: db}, clusterIP: 10.96.0.5, ports: [{name: tcp, port: 5432}]}",
  ),
  workloadEntry("web", "shop", "{address: 10.0.0.1, labels: {app: web}, serviceAccount: web}"),
  workloadEntry("db-1", "shop", "{address: 10.0.0.2, labels: {app: db, version: v1}, serviceAccount: db}"),
  workloadEntry("db-2", "shop", "{address: 10.0.0.3, labels: {app: db, version: v2}, serviceAccount: db}"),
  resource(
    "DestinationRule shop/db",
    "{host: db, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}",
  ),
  resource(
    "VirtualService shop/db",
    `{hosts: [db], tcp: [
      {match: [{sourceLabels: {app: batch}}], route: [{destination: {host: db, subset: v2}}]},
      {match: [{destinationSubnets: [10.97.0.0/16]}], route: [{destination: {host: db, subset: v2}}]},
      {route: [{destination: {host: db, subset: v1}, weight: 75},
        {destination: {host: db, subset: v2}, weight: 25}]}]}`,
  ),
  resource(
    "AuthorizationPolicy shop/db",
    "{selector: {matchLabels: {version: v2}}, rules: [{to: [{operation: {paths: [/x]}}]}]}",
  ),
  resource(
    "ServiceEntry shop/partner",
    `{hosts: ["*.partner.test"], addresses: [198.51.100.0/24], resolution: NONE,
      ports: [{number: 443, name: tls, protocol: TLS}, {number: 9000, name: tcp, protocol: TCP}]}`,
  ),
  resource(
    "VirtualService shop/partner",
    `{hosts: ["*.partner.test"], tls: [
      {match: [{sniHosts: [a.partner.test]}], route: [{destination: {host: db, port: {number: 5432}}}]},
      {match: [{sniHosts: ["*.partner.test"]}], route: [{destination: {host: "*.partner.test"}}]}]}`,
  ),
);

const CASES: [name: string, url: string][] = [
  ["bytes", "tcp://db:5432"],
  ["bytes_address", "tcp://10.96.0.5:5432"],
  ["bytes_endpoint", "tcp://10.0.0.2:5432"],
  ["bytes_onwards", "tcp://198.51.100.7:9000"],
  ["bytes_tls", "https://b.partner.test/"],
  ["bytes_unknown", "tcp://bd:5432"],
];

describe("the answers of explain about bytes", () => {
  test.each(CASES)("are for %s what the golden files say", (name, url) => {
    const receiver = fileSnapshots(BYTES, TRUST_DOMAIN);
    const snapshot = receiver("shop/web");
    if (snapshot === undefined) throw new Error("There is no workload shop/web");
    const explained = explain(snapshot, readExplainRequest(null, url, []), receiver);
    golden(`cli/explain/${name}.json`, JSON.stringify(explained.explanation, null, 2));
    golden(`cli/explain/${name}.txt`, explainText(explained));
  });
});
