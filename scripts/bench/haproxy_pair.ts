/** The yardstick: two haproxy processes, one thread each, with mutual TLS between them, set up as operators do. */
import { writeFileSync } from "node:fs";
import { identityFiles, type Pair, SERVICE as UPSTREAM, type Upstream, UPSTREAM_PORT } from "./pair.ts";
import { accepts, program, start, until } from "./processes.ts";

const CALLER = "127.0.46.3";
const SERVICE = "127.0.46.4";
const PORTS = {
  small: { caller: 15001, service: 15008 },
  large: { caller: 15002, service: 15009 },
  grpc: { caller: 15003, service: 15010 },
} as const satisfies Record<Upstream, unknown>;

const COMMON = `global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  http-reuse always
`;

/** Uses the certificates of the sidecars in `directory`, which must have joined. */
export async function startHaproxyPair(directory: string): Promise<Pair> {
  const tls = (workload: "caller" | "web", http2: boolean) => {
    const { certificate, roots } = identityFiles(directory, workload);
    return `ssl crt ${certificate} ca-file ${roots} verify required ssl-min-ver TLSv1.3${
      http2 ? " alpn h2" : ""
    }`;
  };
  const caller = proxies((name) => ({
    bind: `${CALLER}:${PORTS[name].caller}${name === "grpc" ? " proto h2" : ""}`,
    server: `${SERVICE}:${PORTS[name].service} ${tls("caller", name === "grpc")}${protocol(name)}`,
  }));
  const service = proxies((name) => ({
    bind: `${SERVICE}:${PORTS[name].service} ${tls("web", name === "grpc")}`,
    server: `${UPSTREAM}:${UPSTREAM_PORT[name]}${protocol(name)}`,
  }));
  const run = (name: string, text: string) => {
    const file = `${directory}/haproxy-${name}.cfg`;
    writeFileSync(file, text);
    return start(`haproxy (${name})`, [program("haproxy"), "-f", file]);
  };
  const running = [run("caller", caller), run("service", service)] as const;
  await until("haproxy", async () => await accepts(CALLER, 15001) && await accepts(SERVICE, 15008));
  return {
    name: "haproxy",
    proxies: running,
    others: [],
    target(upstream) {
      return { address: CALLER, port: PORTS[upstream].caller, authority: `web:${UPSTREAM_PORT[upstream]}` };
    },
    mesh: { address: SERVICE, port: PORTS.grpc.service },
  };
}

function protocol(upstream: Upstream): string {
  return upstream === "grpc" ? " proto h2" : "";
}

/** One configuration with a frontend and a backend for each upstream. */
function proxies(lines: (upstream: Upstream) => { bind: string; server: string }): string {
  const sections = (Object.keys(PORTS) as Upstream[]).map((name) => {
    const { bind, server } = lines(name);
    return `frontend ${name}
  bind ${bind}
  default_backend ${name}
backend ${name}
  server only ${server}
`;
  });
  return COMMON + sections.join("");
}
