/**
 * The other yardstick: two nginx processes with mutual TLS between them and connections kept alive. The caller shows its
 * certificate, but does not check the service's: nginx wants a DNS name in it, and a SPIFFE certificate has none.
 */
import { identityFiles, type Pair, SERVICE as UPSTREAM, UPSTREAM_PORT } from "./pair.ts";
import { accepts, start, until } from "./processes.ts";
import { nginxCommand, nginxConfig } from "./upstreams.ts";

const CALLER = "127.0.46.5";
const SERVICE = "127.0.46.6";
const PORTS = {
  small: { caller: 15001, service: 15008 },
  large: { caller: 15002, service: 15009 },
} as const;
const HTTP2_PORT = 15010;

const PROXY = `    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_max_temp_file_size 0;`;

/** Uses the certificates of the sidecars in `directory`, which must have joined. */
export async function startNginxPair(directory: string): Promise<Pair> {
  const pools = (to: "service" | "app") =>
    (["small", "large"] as const).map((name) => {
      const server = to === "app"
        ? `${UPSTREAM}:${UPSTREAM_PORT[name]}`
        : `${SERVICE}:${PORTS[name].service}`;
      return `  upstream ${name} { server ${server}; keepalive 128; keepalive_requests 100000000; }`;
    }).join("\n");

  const own = identityFiles(directory, "caller");
  const caller = `${pools("service")}
  proxy_ssl_certificate ${own.certificate};
  proxy_ssl_certificate_key ${own.certificate};
  proxy_ssl_protocols TLSv1.3;
${
    (["small", "large"] as const).map((name) =>
      `  server {
    listen ${CALLER}:${PORTS[name].caller};
    location / { proxy_pass https://${name}; }
${PROXY}
  }`
    ).join("\n")
  }`;

  const theirs = identityFiles(directory, "web");
  const listeners = [
    [`${PORTS.small.service} ssl`, "small"],
    [`${PORTS.large.service} ssl`, "large"],
    [`${HTTP2_PORT} ssl http2`, "small"],
  ] as const;
  const service = `${pools("app")}
  ssl_certificate ${theirs.certificate};
  ssl_certificate_key ${theirs.certificate};
  ssl_client_certificate ${theirs.roots};
  ssl_verify_client on;
  ssl_verify_depth 3;
  ssl_protocols TLSv1.3;
${
    listeners.map(([listen, name]) =>
      `  server {
    listen ${SERVICE}:${listen};
    location / { proxy_pass http://${name}; }
${PROXY}
  }`
    ).join("\n")
  }`;

  const run = (name: string, http: string) =>
    start(`nginx (${name})`, nginxCommand(nginxConfig(directory, name, http)));
  const proxies = [run("caller", caller), run("service", service)] as const;
  await until("nginx", async () => await accepts(CALLER, 15001) && await accepts(SERVICE, 15008));
  return {
    name: "nginx",
    proxies,
    others: [],
    target(upstream) {
      if (upstream === "grpc") return null;
      return { address: CALLER, port: PORTS[upstream].caller, authority: `web:${UPSTREAM_PORT[upstream]}` };
    },
    mesh: { address: SERVICE, port: HTTP2_PORT },
  };
}
