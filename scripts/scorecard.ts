/**
 * The scorecard of faults at full size, against the compiled executable:
 * `deno task scorecard [--only NAME,…] [--minutes N] [--small]`. Prints a table of row, bar and what was measured; exit
 * code 1 when a bar is missed. The table goes to standard output, progress to standard error.
 */
import { messageOf } from "../src/lib/message_of.ts";
import { parseArgs } from "node:util";
import { printLogs } from "../tests/integration/bowline.ts";
import type { Check, Row } from "./scorecard/row.ts";
import { changes } from "./scorecard/rows/changes.ts";
import { controlPlaneKills } from "./scorecard/rows/control_plane_kills.ts";
import { closingUpstream } from "./scorecard/rows/closing_upstream.ts";
import { kills } from "./scorecard/rows/kills.ts";
import { noDescriptors } from "./scorecard/rows/descriptors.ts";
import { expiredCertificates } from "./scorecard/rows/expired_certificates.ts";
import { restarts } from "./scorecard/rows/restarts.ts";
import { retryStorm } from "./scorecard/rows/retry_storm.ts";
import { rootRollover } from "./scorecard/rows/root_rollover.ts";
import { slowPeers } from "./scorecard/rows/slow_peers.ts";
import { soak } from "./scorecard/rows/soak.ts";
import { tcp } from "./scorecard/rows/tcp.ts";
import { tokens } from "./scorecard/rows/tokens.ts";
import { webSockets } from "./scorecard/rows/web_socket.ts";

const ROWS: readonly Row[] = [
  tokens,
  slowPeers,
  closingUpstream,
  retryStorm,
  webSockets,
  tcp,
  controlPlaneKills,
  noDescriptors,
  changes,
  restarts,
  expiredCertificates,
  rootRollover,
  kills,
  soak,
];

/** Exit codes of sysexits.h. */
const USAGE = 64;

const { rows, size, minutes } = readOptions();
let failed = false;
console.log("| row | what | bar | measured | |\n| --- | --- | --- | --- | --- |");
for (const row of rows) {
  const startedMs = performance.now();
  console.error(`row ${row.name}: ${row.what} …`);
  for (const check of await measure(row)) {
    failed ||= !check.ok;
    const { what, bar, measured, ok } = check;
    console.log(`| ${row.name} | ${what} | ${bar} | ${measured} | ${ok ? "ok" : "MISSED"} |`);
  }
  console.error(`row ${row.name} took ${Math.round((performance.now() - startedMs) / 1_000)} s`);
}
process.exit(failed ? 1 : 0);

/** A row that cannot be run to its end is a row that is missed. */
async function measure(row: Row): Promise<readonly Check[]> {
  try {
    const checks = await row.run(size, { minutes });
    if (checks.some(({ ok }) => !ok)) printLogs();
    return checks;
  } catch (error) {
    printLogs();
    const measured = messageOf(error).replaceAll("\n", " ");
    return [{ what: row.what, bar: "runs to its end", measured, ok: false }];
  }
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      only: { type: "string", default: ROWS.map(({ name }) => name).join(",") },
      minutes: { type: "string", default: "5" },
      small: { type: "boolean", default: false },
    },
  });
  const only = values.only.split(",");
  const minutes = Number(values.minutes);
  if (!only.every((name) => ROWS.some((row) => row.name === name)) || !(minutes > 0)) {
    console.error(`--only takes ${ROWS.map(({ name }) => name).join(", ")}; --minutes a number above 0`);
    process.exit(USAGE);
  }
  const size = values.small ? "small" as const : "full" as const;
  return { rows: ROWS.filter(({ name }) => only.includes(name)), size, minutes };
}
