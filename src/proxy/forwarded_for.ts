/** Who the client is, by what proxies wrote into `x-forwarded-for`. */
import { parseIp } from "../lib/ip.ts";

/**
 * Bytes of the entry behind which `behind` others stand, over all fields of the name; null: there are not as many, or it
 * is no address. As in Envoy an entry is what stands between commas, and has no port.
 */
export function forwardedAddress(values: readonly string[], behind: number): Uint8Array | null {
  let left = behind;
  for (let i = values.length - 1; i >= 0; i--) {
    const value = values[i] as string;
    let end = value.length;
    while (end >= 0) {
      const comma = end === 0 ? -1 : value.lastIndexOf(",", end - 1);
      if (left === 0) return parseIp(value.slice(comma + 1, end).trim());
      left--;
      end = comma;
    }
  }
  return null;
}
