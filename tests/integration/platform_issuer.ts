/** A platform that vouches for workloads: it issues tokens as Kubernetes does, and serves its public keys, or fails to. */
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";
import { afterwards } from "./bowline.ts";

/** What it answers when it is asked for its keys. */
export type KeyAnswer = "keys" | "error" | "garbage" | "redirect" | "huge";

export interface Claims extends JWTPayload {
  readonly lifeS?: number;
}

export class PlatformIssuer {
  readonly issuer: string;
  readonly #server: Bun.Server<undefined>;
  #key!: CryptoKey;
  #jwk!: JWK;
  answer: KeyAnswer = "keys";
  /** How often somebody asked for the keys. */
  asked = 0;

  private constructor(hostname: string) {
    this.#server = Bun.serve({ hostname, port: 18080, fetch: () => this.#keys() });
    afterwards(() => this.stop());
    this.issuer = `http://${hostname}:18080`;
  }

  static async start(hostname: string): Promise<PlatformIssuer> {
    const issuer = new PlatformIssuer(hostname);
    await issuer.rotate();
    return issuer;
  }

  /** From now on it signs with another key, under another name. */
  async rotate(): Promise<void> {
    const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
    this.#key = privateKey;
    this.#jwk = { ...await exportJWK(publicKey), kid: crypto.randomUUID(), use: "sig", alg: "RS256" };
  }

  get kid(): string {
    return this.#jwk.kid as string;
  }

  get publicJwk(): JWK {
    return this.#jwk;
  }

  /** A token for a pod of a namespace; what is given differs. */
  token(pod: string, { lifeS = 600, ...more }: Claims = {}, header: object = {}): Promise<string> {
    const nowS = Math.floor(Date.now() / 1000);
    const claims = {
      ...{ iss: this.issuer, aud: "bowline", iat: nowS, exp: nowS + lifeS, jti: crypto.randomUUID() },
      sub: "system:serviceaccount:shop:web",
      "kubernetes.io": { namespace: "shop", pod: { name: pod }, serviceaccount: { name: "web" } },
      ...more,
    };
    return new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: this.kid, ...header }).sign(this.#key);
  }

  /** Every connection is refused. */
  async stop(): Promise<void> {
    await this.#server.stop(true);
  }

  #keys(): Response {
    this.asked++;
    switch (this.answer) {
      case "keys":
        return Response.json({ keys: [this.#jwk] });
      case "error":
        return new Response("down for maintenance", { status: 500 });
      case "garbage":
        return new Response("<html>");
      case "redirect":
        return Response.redirect(`${this.issuer}/elsewhere`);
      case "huge":
        return new Response(" ".repeat(1024 * 1024));
    }
  }
}
