/** Edits after which a view that follows is easily the old one: each is held to a world that is made afresh. */
import { expect, test } from "bun:test";
import { fileWorkloads } from "../../../src/pilot/file_workloads.ts";
import { snapshotOfView } from "../../../src/pilot/proxy_view.ts";
import { World } from "../../../src/pilot/world.ts";
import { caller, load, resource, service, workloadEntry } from "./fixture.ts";

const SIDECAR = caller("shop");
const GATEWAY = { ...caller("shop"), role: "gateway" as const };

const WORKLOADS = ["web", "api"].map((name) =>
  workloadEntry(name, "shop", `{address: 10.0.0.${name.length}, labels: {app: ${name}}}`)
);
const DOOR = resource(
  "Gateway shop/door",
  "{selector: {}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}",
);
const BOUND = resource(
  "VirtualService shop/bound",
  "{gateways: [door], hosts: [shop.example.com], http: [{route: [{destination: {host: web}}]}]}",
);
const WEB = service("web", "shop");

/** Sees its own namespace alone, and a rule for names of which another namespace's service has one. */
const NARROW = [
  resource("Sidecar shop/default", "{egress: [{hosts: ['./*']}]}"),
  resource(
    "VirtualService shop/names",
    "{hosts: [other.example.com, mail.office.svc.cluster.local], http: [{route: [{destination: {host: web, " +
      "port: {number: 8080}}}]}]}",
  ),
  WEB,
];

test.each([
  ["a service behind a gateway selects others", GATEWAY, [DOOR, BOUND, WEB], [
    DOOR,
    BOUND,
    WEB.replace("app: web", "app: api"),
  ]],
  ["its only port is another one", GATEWAY, [DOOR, BOUND, WEB], [DOOR, BOUND, WEB.replace("8080", "9090")]],
  ["a gateway's rule goes", GATEWAY, [DOOR, BOUND, WEB], [DOOR, WEB]],
  ["a gateway's server changes", GATEWAY, [DOOR, BOUND, WEB], [
    DOOR.replace("hosts: ['*']", "hosts: ['*.test']"),
    BOUND,
    WEB,
  ]],
  ["a service that a Sidecar hides lends a rule other ports", SIDECAR, [
    ...NARROW,
    service("mail", "office"),
  ], [...NARROW, service("mail", "office", "{name: http, port: 9090}")]],
  ["a service that a Sidecar hides goes", SIDECAR, [...NARROW, service("mail", "office")], NARROW],
])("a view follows when %s", (_what, proxy, before, after) => {
  const worldOf = (documents: string[], previous: World | null) => {
    const resources = load(...WORKLOADS, ...documents);
    const workloads = fileWorkloads(resources.workloadEntries);
    return new World({ resources, workloads, trustDomain: "t" }, previous);
  };
  const versionsOf = (world: World) =>
    [...snapshotOfView(world.view(proxy))].map(([key, { version }]) => `${key} ${version}`).sort();
  const first = worldOf(before, null);
  const [had, wanted] = [versionsOf(first), versionsOf(worldOf(after, null))];
  expect(wanted).not.toEqual(had);
  expect(versionsOf(worldOf(after, first))).toEqual(wanted);
});
