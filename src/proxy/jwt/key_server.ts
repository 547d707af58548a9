/**
 * Asks servers for keys. The URL comes from a file, or from what an issuer answers, and the proxy stands where its writer
 * may not: so the address is looked at before anybody is called, and no redirect is followed.
 */
import type { Clock } from "../../lib/clock.ts";
import { type Network, parseIp } from "../../lib/ip.ts";
import type { UpstreamTls } from "../../model/upstream_tls.ts";
import type { ResolveName } from "../../runtime/dns.ts";
import type { Host } from "../cluster/host.ts";
import type { HostAddress } from "../cluster/connect_attempt.ts";
import { getText, KeyServerError } from "./key_request.ts";
import { isRefusedAddress, isWithin } from "./refused_addresses.ts";

export interface KeyServerOptions {
  readonly clock: Clock;
  readonly resolve: ResolveName;
  /** The pool of an address. */
  host(address: HostAddress): Host;
  /** Networks that may be called although they are refused otherwise. */
  readonly allowed: readonly Network[];
}

/** Where a request goes. */
interface Place {
  readonly host: Host;
  readonly url: URL;
}

export class KeyServer {
  readonly #options: KeyServerOptions;

  constructor(options: KeyServerOptions) {
    this.#options = options;
  }

  /** Rejects with KeyServerError. */
  async keys(url: string, timeoutMs: number): Promise<string> {
    const place = await this.#placeOf(url);
    return await getText(place.host, place.url, this.#options.clock, timeoutMs);
  }

  /** The keys that the issuer's OpenID configuration names (OpenID Connect Discovery 1.0 §4). Rejects with KeyServerError. */
  async discovered(issuer: string, timeoutMs: number): Promise<string> {
    const text = await this.keys(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, timeoutMs);
    const { issuer: named, jwks_uri: url } = readConfiguration(text);
    if (named !== issuer) throw new KeyServerError("its OpenID configuration is of another issuer");
    if (typeof url !== "string") throw new KeyServerError("its OpenID configuration names no jwks_uri");
    if (issuer.startsWith("https:") && !url.startsWith("https:")) {
      throw new KeyServerError("its OpenID configuration leads from https to something else");
    }
    return await this.keys(url, timeoutMs);
  }

  async #placeOf(text: string): Promise<Place> {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
      throw new KeyServerError("the URL is neither https nor http");
    }
    const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
    const address = await this.#addressOf(hostname);
    const isTls = url.protocol === "https:";
    const port = url.port === "" ? (isTls ? 443 : 80) : Number(url.port);
    const common = { hostname: address, port, spiffeId: null, protocol: "http1" } as const;
    return { url, host: this.#options.host(isTls ? { ...common, tls: tlsOf(hostname) } : common) };
  }

  /** That very address is called: a name could lead somewhere else when it is looked up again. */
  async #addressOf(hostname: string): Promise<string> {
    const addresses = parseIp(hostname) === null ? await this.#resolve(hostname) : [hostname];
    const found = addresses.find((address) => this.#isAllowed(address));
    if (found !== undefined) return found;
    throw new KeyServerError(
      `${hostname} leads to ${
        addresses.join(", ")
      }, where nobody is asked for keys unless --jwks-allow has it`,
    );
  }

  async #resolve(name: string): Promise<readonly string[]> {
    try {
      return (await this.#options.resolve(name)).addresses;
    } catch (cause) {
      throw new KeyServerError(`the name ${name} has no address`, { cause });
    }
  }

  #isAllowed(address: string): boolean {
    const bytes = parseIp(address);
    if (bytes === null) return false;
    return !isRefusedAddress(bytes) || isWithin(this.#options.allowed, bytes);
  }
}

function tlsOf(hostname: string): UpstreamTls {
  const sni = parseIp(hostname) === null ? hostname : null;
  return { sni, certificate: null, rootsFile: null, names: [hostname], insecure: false };
}

function readConfiguration(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // As good as any other answer that is none.
  }
  throw new KeyServerError("its OpenID configuration is not JSON");
}
