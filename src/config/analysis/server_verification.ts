/** IST0128 and IST0129: TLS to servers whose certificates nobody verifies. */
import { CODES } from "../codes.ts";
import { type Analyzer, notice } from "./analyzer.ts";
import { policies } from "./policies.ts";

export const serverVerification: Analyzer = function* (resources) {
  for (const { resource, path, policy: { tls }, port } of policies(resources)) {
    if (tls === null || (tls.mode !== "SIMPLE" && tls.mode !== "MUTUAL")) continue;
    if (!tls.insecureSkipVerify) continue;
    const code = port === null ? CODES.serverNotVerified : CODES.serverNotVerifiedAtPort;
    const message =
      `the mode ${tls.mode} with insecureSkipVerify encrypts, and does not verify who the server is`;
    yield notice(
      code,
      resource,
      [...path, "tls"],
      message,
      "remove it, and add caCertificates: where need be",
    );
  }
};
