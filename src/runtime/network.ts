/** The machine's own addresses. */
import { networkInterfaces } from "node:os";

/** The first IPv4 address that others can reach, or undefined on a machine that has loopback only. */
export function primaryAddress(): string | undefined {
  for (const addresses of Object.values(networkInterfaces())) {
    const found = addresses?.find((one) => one.family === "IPv4" && !one.internal);
    if (found !== undefined) return found.address;
  }
  return undefined;
}
