/** Row 22: the configuration and the certificates change all the time, and no request notices. */
import { Load } from "../../../tests/integration/keep_alive_client.ts";
import { service, subsets, virtualService } from "../../../tests/integration/resources.ts";
import { type Bowline, until } from "../../../tests/integration/bowline.ts";
import { type Check, exactly, noneFailed, type Row } from "../row.ts";
import { Stand, STORE_PORTS, storeAnswer } from "../stand.ts";

const REQUESTS = { full: 1_000_000, small: 6_000 };
const EDITS = { full: 200, small: 12 };
const CLIENTS = 48;

const route = (subset: string, weight: number) =>
  `- { destination: { host: store, subset: ${subset}, port: { number: ${STORE_PORTS.http} } }, weight: ${weight} }`;

/** What an edit leaves behind; each routes the store's requests to another mix of its workloads. */
const EDITIONS: readonly (readonly string[])[] = [
  [],
  [subsets("store"), virtualService("store", `- route:\n  ${route("v1", 90)}\n  ${route("v2", 10)}`)],
  [subsets("store"), service("another")],
  [
    subsets("store"),
    virtualService(
      "store",
      `- match: [{ headers: { x-group: { exact: beta } } }]\n  route:\n  ${route("v1", 100)}\n` +
        `- route:\n  ${route("v2", 100)}`,
    ),
  ],
];

export const changes: Row = {
  name: "22",
  what: "config and certificates change under load",
  async run(size) {
    const stand = await Stand.up({ replicas: 2, certTtl: size === "full" ? "1m" : undefined });
    try {
      const probe = stand.probe();
      const load = new Load(stand.target(), { clients: CLIENTS, expected: storeAnswer });
      const sidecars = [stand.client, ...stand.stores];
      const before = sidecars.map((sidecar) => said([sidecar], "Applied a push"));
      load.start(REQUESTS[size]);
      for (let edit = 1; edit <= EDITS[size]; edit++) {
        const due = Math.floor(REQUESTS[size] * edit / (EDITS[size] + 1));
        await until(`request ${due}`, () => load.tally.total >= due, 600_000);
        stand.write(...EDITIONS[edit % EDITIONS.length] as string[]);
        // An edit that nobody got would test nothing, and one that comes before the last was read replaces it.
        await until(
          "the edit is pushed",
          () => sidecars.every((one, i) => said([one], "Applied a push") >= (before[i] as number) + edit),
        );
      }
      const checks: Check[] = [
        noneFailed("requests", await load.over()),
        noneFailed("probe", await probe.stop()),
        exactly("edits refused", said(sidecars, "Refused a push"), 0),
      ];
      const renewed = said(sidecars, "Renewed the certificate");
      if (size === "full") {
        checks.push({ what: "renewals meanwhile", bar: "≥ 3", measured: String(renewed), ok: renewed >= 3 });
      }
      const pushes = said(sidecars, "Applied a push") - before.reduce((sum, one) => sum + one, 0);
      checks.push({
        what: `pushes applied by ${sidecars.length} sidecars, of ${EDITS[size]} edits`,
        bar: `≥ ${EDITS[size] * sidecars.length}`,
        measured: String(pushes),
        ok: pushes >= EDITS[size] * sidecars.length,
      });
      return checks;
    } finally {
      await stand.down();
    }
  },
};

/** How often the sidecars have said it, all together. */
function said(sidecars: readonly Bowline[], text: string): number {
  return sidecars.reduce((sum, { stderr }) => sum + stderr.split(text).length - 1, 0);
}
