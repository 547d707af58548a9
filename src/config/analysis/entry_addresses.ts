/** IST0134: a ServiceEntry for bytes that captured connections cannot be told to be for. */
import { CODES } from "../codes.ts";
import { isDnsName } from "../schema/scalars.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { speechOf } from "./port_speech.ts";

export const entryAddresses: Analyzer = function* ({ serviceEntries }) {
  for (const resource of serviceEntries) {
    const { addresses, endpoints, hosts, ports, resolution, workloadSelector } = resource.spec;
    if (addresses.length > 0 || resolution === "NONE" || workloadSelector !== null) continue;
    // Who dials the address of an endpoint is understood; of a name only DNS knows where it is.
    const named = endpoints.length === 0 || endpoints.some(({ address }) => isDnsName(address));
    if (!named) continue;
    for (const [index, { number, protocol }] of ports.entries()) {
      if (speechOf({ name: null, appProtocol: protocol }) !== "bytes") continue;
      const message =
        `nothing but an address tells a captured connection to ${
          hosts[0]
        }:${number} from others, so it goes on as ` +
        "one to an unknown host";
      const hint = "add addresses:, or call it through CONNECT, or use the protocol TLS";
      yield warning(CODES.addressesRequired, resource, ["spec", "ports", index], message, hint);
    }
  }
};
