/** What is spoken at a server of a Gateway, from its protocol and its TLS. */
import type { GatewayServer } from "./schema/gateway.ts";

/** Requests; bytes; TLS that is decrypted, then either; TLS that is passed on. */
export type ServerSpeech = "http" | "tcp" | "https" | "tls-tcp" | "passthrough";

export function serverSpeech({ port: { protocol }, tls }: Pick<GatewayServer, "port" | "tls">): ServerSpeech {
  if (protocol === "HTTPS" || protocol === "TLS") {
    if (tls === null || tls.mode === "PASSTHROUGH") return "passthrough";
    return protocol === "HTTPS" ? "https" : "tls-tcp";
  }
  return protocol.startsWith("HTTP") || protocol.startsWith("GRPC") ? "http" : "tcp";
}

/** Whether the servers of one port share it: those that have no TLS do, and no other server may be there. */
export function isPlainServer(server: GatewayServer): boolean {
  const speech = serverSpeech(server);
  return speech === "http" || speech === "tcp";
}
