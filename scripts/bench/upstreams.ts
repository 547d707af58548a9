/** The servers behind the proxies, quick enough never to be what is measured. */
import { writeFileSync } from "node:fs";
import { SERVICE, UPSTREAM_PORT } from "./pair.ts";
import { accepts, program, type Running, start, until } from "./processes.ts";

/** Path -> bytes of the body. */
export const BODY_BYTES = { "/66": 66, "/1k": 1_024, "/1m": 1_048_576 } as const;

export async function startUpstreams(directory: string): Promise<readonly Running[]> {
  const upstreams = [startSmall(directory), startLarge(directory)];
  await until("the upstreams", async () => {
    const all = await Promise.all(Object.values(UPSTREAM_PORT).map((port) => accepts(SERVICE, port)));
    return all.every(Boolean);
  });
  return upstreams;
}

/** haproxy answers out of its configuration, over HTTP/1.1 and HTTP/2, whichever the caller begins with. */
function startSmall(directory: string): Running {
  const file = `${directory}/small.cfg`;
  const answer = (path: "/66" | "/1k") =>
    `  http-request return status 200 content-type text/plain string "${"x".repeat(BODY_BYTES[path])}"`;
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
frontend small
  bind ${SERVICE}:${UPSTREAM_PORT.small}
${answer("/1k")} if { path /1k }
${answer("/66")}
frontend grpc
  bind ${SERVICE}:${UPSTREAM_PORT.grpc}
  http-request wait-for-body time 1s
${answer("/66")}
`,
  );
  return start("the upstream of small bodies", [program("haproxy"), "-f", file]);
}

function startLarge(directory: string): Running {
  writeFileSync(`${directory}/1m`, "x".repeat(BODY_BYTES["/1m"]));
  const config = nginxConfig(
    directory,
    "large",
    `
  sendfile on;
  server {
    listen ${SERVICE}:${UPSTREAM_PORT.large};
    root ${directory};
  }`,
  );
  return start("the upstream of large bodies", nginxCommand(config));
}

/** Writes the configuration of one nginx process, without a master and without logs; returns the file. */
export function nginxConfig(directory: string, name: string, http: string): string {
  const file = `${directory}/nginx-${name}.conf`;
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `  ${kind}_temp_path ${directory}/nginx-${name}-${kind};`).join("\n");
  writeFileSync(
    file,
    `daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid ${directory}/nginx-${name}.pid;
error_log /dev/null;
events { worker_connections 4096; }
http {
${temporary}
  access_log off;
  keepalive_timeout 600s;
  keepalive_requests 100000000;
${http}
}
`,
  );
  return file;
}

export function nginxCommand(config: string): string[] {
  return [program("nginx"), "-e", "/dev/null", "-c", config];
}
