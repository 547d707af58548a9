/** `bowline certs`: every certificate of the mesh, and how long each has to live. */
import { type Clock, systemClock } from "../lib/clock.ts";
import type { CertificatesReply, CertificateStatus } from "../model/admin.ts";
import { AdminClient } from "./admin_client.ts";
import { EXIT, type ExitCode } from "./exit_codes.ts";
import { type Column, formatTable, type OutputFormat, printData } from "./output.ts";
import { formatAge } from "./proxy_status_command.ts";

export interface CertsOptions {
  readonly data?: string;
  readonly output: OutputFormat;
}

const COLUMNS: readonly Column[] = [
  { title: "KIND" },
  { title: "IDENTITY" },
  { title: "WORKLOAD" },
  { title: "SERIAL" },
  { title: "EXPIRES" },
  { title: "LEFT", align: "right" },
  { title: "STATE" },
];

/** JSON is what `GET /v1/certificates` of the admin socket answers. */
export async function runCerts(
  { data, output }: CertsOptions,
  clock: Clock = systemClock,
): Promise<ExitCode> {
  const reply = await new AdminClient(data).get("/v1/certificates") as CertificatesReply;
  const rows = reply.certificates.map((certificate) => row(certificate, clock.now()));
  await printData(output, reply, () => formatTable(COLUMNS, rows));
  return EXIT.ok;
}

function row(certificate: CertificateStatus, nowMs: number): string[] {
  const { kind, identity, workload, serial, notAfter, state } = certificate;
  const left = formatAge(Date.parse(notAfter) - nowMs);
  return [kind, identity, workload ?? "-", serial, notAfter, left, state];
}
