/** The yardstick: two haproxy processes, one thread each, with mutual TLS between them, set up as operators do. */
import { writeFileSync } from "node:fs";
import { identityOf, type Pair, UPSTREAM_ADDRESS, UPSTREAM_PORT } from "./bowline_pair.ts";
import { accepts, program, start, until } from "./processes.ts";

const CALLER = "127.0.3.3";
const SERVICE = "127.0.3.4";

const COMMON = `global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 5s
  timeout client 120s
  timeout server 120s
  http-reuse always
`;

/** Uses the certificates of the sidecars in `directory`, which must have joined. */
export async function startHaproxyPair(directory: string): Promise<Pair> {
  const tls = (name: string) => {
    const { certificate, roots } = identityOf(directory, name);
    writeFileSync(`${directory}/haproxy-${name}.pem`, certificate, { mode: 0o600 });
    writeFileSync(`${directory}/haproxy-roots.pem`, roots);
    return `ssl crt ${directory}/haproxy-${name}.pem ca-file ${directory}/haproxy-roots.pem verify required`;
  };
  const caller = `${COMMON}
frontend outbound
  bind ${CALLER}:15001
  default_backend mesh
backend mesh
  server service ${SERVICE}:15008 ${tls("caller")}
`;
  const service = `${COMMON}
frontend mesh
  bind ${SERVICE}:15008 ${tls("web")}
  default_backend app
backend app
  server app ${UPSTREAM_ADDRESS}:${UPSTREAM_PORT}
`;
  const proxies = [];
  for (const [name, text] of [["caller", caller], ["service", service]] as const) {
    const file = `${directory}/haproxy-${name}.cfg`;
    writeFileSync(file, text);
    proxies.push(start(`haproxy (${name})`, [program("haproxy"), "-f", file]));
  }
  await until("haproxy", async () => await accepts(CALLER, 15001) && await accepts(SERVICE, 15008));
  return {
    name: "haproxy",
    url: `http://${CALLER}:15001/`,
    authority: `web:${UPSTREAM_PORT}`,
    proxies,
    others: [],
  };
}
