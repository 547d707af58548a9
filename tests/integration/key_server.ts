/** A server of an issuer's keys, good and bad, and the tokens that the issuer signs. */
import { createServer, type Server, type ServerResponse } from "node:http";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterwards } from "./bowline.ts";

export interface Issuer {
  readonly publicJwk: Record<string, unknown>;
  sign(claims: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>;
}

export async function newIssuer(kid: string, alg = "ES256"): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    publicJwk: { ...await exportJWK(publicKey), kid },
    sign: (claims, header = {}) =>
      new SignJWT({ sub: "ann", exp: Math.floor(Date.now() / 1_000) + 300, ...claims })
        .setProtectedHeader({ alg, kid, ...header }).sign(privateKey),
  };
}

type Behaviour = (response: ServerResponse, keys: string) => void;

/** By path; `keys` is the set as it should be. */
const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  good: (response, keys) => response.end(keys),
  other: (response, keys) => response.end(keys),
  error: (response, keys) => response.writeHead(500).end(keys),
  garbage: (response) => response.end("<html>keys</html>"),
  empty: (response) => response.end('{"keys":[]}'),
  redirect: (response) => response.writeHead(302, { location: "/good" }).end(),
  flood: (response, keys) => response.end(keys.replace("{", `{"pad":"${"x".repeat(10_000_000)}",`)),
  hang: () => {},
  drip: (response, keys) => void response.write(keys.slice(0, 5)),
  broken: (response, keys) => {
    response.writeHead(200, { "content-length": String(keys.length) });
    response.write(keys.slice(0, 5), () => response.destroy());
  },
};

export const BAD_PATHS = Object.keys(BEHAVIOURS).filter((path) => path !== "good" && path !== "other");

export class KeyServer {
  /** By path. */
  readonly asked = new Map<string, number>();
  /** What the set has. */
  keys: readonly Record<string, unknown>[] = [];
  #server: Server | null = null;

  async start(address: string, port: number): Promise<void> {
    const server = createServer((request, response) => {
      const path = (request.url ?? "").slice(1);
      this.asked.set(path, (this.asked.get(path) ?? 0) + 1);
      const behaviour = BEHAVIOURS[path];
      if (behaviour === undefined) response.writeHead(404).end();
      else behaviour(response, JSON.stringify({ keys: this.keys }));
    });
    this.#server = server;
    afterwards(() => this.stop());
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, address, resolve);
    });
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    server?.closeAllConnections();
    await new Promise<void>((resolve) => server === null ? resolve() : server.close(() => resolve()));
  }
}
