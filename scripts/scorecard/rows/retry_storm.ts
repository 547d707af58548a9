/** Row 14: an upstream of which every endpoint fails is not asked more than it was meant to, and then not at all. */
import { until } from "../../../tests/integration/bowline.ts";
import { type FaultyUpstream, startFaulty } from "../../../tests/integration/faulty_upstream.ts";
import { Load } from "../../../tests/integration/keep_alive_client.ts";
import { NAMESPACE } from "../../../tests/integration/resources.ts";
import { atMost, type Check, exactly, noneFailed, type Row } from "../row.ts";
import { Stand, STORE_PORTS } from "../stand.ts";

const REQUESTS = { full: 10_000, small: 1_000 };
const CLIENTS = 50;
const REPLICAS = 3;
/** Of the requests in flight. */
const BUDGET_PERCENT = 15;
const EJECTED_AFTER = 5;
/** What is on its way before the last endpoint is ejected: a request of each client, and the next one of those answered. */
const LATE_MAX = 2 * CLIENTS;

const RETRIES = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: store, namespace: ${NAMESPACE} }
spec:
  hosts: [store]
  http:
  - match: [{ port: ${STORE_PORTS.closing} }]
    route: [{ destination: { host: store, port: { number: ${STORE_PORTS.closing} } } }]
    retries: { attempts: 3, retryOn: 5xx }
  - route: [{ destination: { host: store, port: { number: ${STORE_PORTS.http} } } }]
`;

function policy(settings: string): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: store, namespace: ${NAMESPACE} }
spec: { host: store, trafficPolicy: { ${settings} } }
`;
}

export const retryStorm: Row = {
  name: "14",
  what: "all endpoints fail, and clients ask for retries",
  async run(size) {
    const stand = await Stand.up({ replicas: REPLICAS });
    const failing = await Promise.all(
      Array.from(
        { length: REPLICAS },
        (_, i) =>
          startFaulty(stand.storeAddress(i), STORE_PORTS.closing, (socket) => {
            socket.write("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
          }),
      ),
    );
    try {
      const probe = stand.probe();
      const budget = `retryBudget: { percent: ${BUDGET_PERCENT}, minRetryConcurrency: 1 }`;
      const checks = [
        ...await storm(stand, failing, REQUESTS[size], budget),
        ...await ejection(stand, failing, REQUESTS[size]),
      ];
      return [...checks, noneFailed("probe", await probe.stop())];
    } finally {
      await Promise.all(failing.map((upstream) => upstream.stop()));
      await stand.down();
    }
  },
};

/** Each request may be tried four times, as far as the budget allows. */
async function storm(
  stand: Stand,
  failing: readonly FaultyUpstream[],
  requests: number,
  budget: string,
): Promise<Check[]> {
  await configure(stand, RETRIES, policy(budget));
  const before = heard(failing);
  const tally = await new Load(stand.target("closing"), { clients: CLIENTS }).start(requests).over();
  const attempts = heard(failing) - before;
  return [
    exactly(
      `${requests} requests, of which ${BUDGET_PERCENT} % may be retries: answered 503`,
      tally.get(503),
      requests,
    ),
    atMost("… load of the upstream, against what was asked", attempts / requests, 1.2, "times"),
  ];
}

/** The endpoints are ejected, and whoever asks is told so. */
async function ejection(
  stand: Stand,
  failing: readonly FaultyUpstream[],
  requests: number,
): Promise<Check[]> {
  const detection =
    `consecutive5xxErrors: ${EJECTED_AFTER}, interval: 1s, baseEjectionTime: 300s, maxEjectionPercent: 100`;
  await configure(stand, policy(`outlierDetection: { ${detection} }`));
  const before = heard(failing);
  const load = () => new Load(stand.target("closing"), { clients: CLIENTS });
  await load().start(requests).over();
  const untilEjected = heard(failing) - before;
  const tally = await load().start(requests).over();
  return [
    atMost(
      `requests that reach ${REPLICAS} endpoints before all are ejected`,
      untilEjected,
      REPLICAS * EJECTED_AFTER + LATE_MAX,
    ),
    exactly(`${requests} requests after that: what they are told`, [...tally.replies], UNHEALTHY),
    exactly("… and how many of them reach an endpoint", heard(failing) - before - untilEjected, 0),
  ];
}

const UNHEALTHY = "uh no_healthy_upstream; outbound shop/client";

function heard(upstreams: readonly FaultyUpstream[]): number {
  return upstreams.reduce((sum, { requests }) => sum + requests.length, 0);
}

/** Until the caller's sidecar serves by it. */
async function configure(stand: Stand, ...resources: readonly string[]): Promise<void> {
  const pushes = () => stand.client.stderr.split("Applied a push").length;
  const before = pushes();
  stand.write(...resources);
  await until("the caller's sidecar has it", () => pushes() > before);
}
