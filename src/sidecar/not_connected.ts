/** Why no connection came about, as a clause for people. */
import { parseIp } from "../lib/ip.ts";

/** A connect that fails is not told apart from a name that leads nowhere; an address cannot be misspelt like that. */
export function notConnected(hostname: string): string {
  const away = "nobody accepts connections there";
  return parseIp(hostname) === null ? `${away}, or nobody knows the name` : away;
}
