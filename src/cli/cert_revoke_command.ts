/** `bowline cert revoke`: certificates that no proxy of the mesh accepts any more. */
import type { CertificatesReply, RevokeRequest } from "../model/admin.ts";
import { AdminClient } from "./admin_client.ts";
import { EXIT, type ExitCode } from "./exit_codes.ts";
import { type OutputFormat, printable, printData, printMessage } from "./output.ts";

export interface CertRevokeOptions {
  readonly data?: string;
  readonly output: OutputFormat;
}

/** Standard output gets the serial numbers, one a line. */
export async function runCertRevoke(
  target: string,
  { data, output }: CertRevokeOptions,
): Promise<ExitCode> {
  const request: RevokeRequest = { target };
  const reply = await new AdminClient(data).post("/v1/revocations", request) as CertificatesReply;
  await printData(output, reply, () => reply.certificates.map(({ serial }) => printable(serial)).join("\n"));
  if (output === "table") {
    for (const { serial, identity, workload } of reply.certificates) {
      printMessage(printable(`Revoked ${serial} of ${workload ?? "-"} (${identity})`));
    }
    printMessage(
      "A workload comes back with a new token: remove identity.json from its data directory first",
    );
  }
  return EXIT.ok;
}
