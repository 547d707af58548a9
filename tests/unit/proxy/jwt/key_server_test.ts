/** Whom a proxy asks for keys, and whom it never does, whatever a file or an issuer says. */
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { Network } from "../../../../src/lib/ip.ts";
import type { HostAddress } from "../../../../src/proxy/cluster/connect_attempt.ts";
import type { Host, PendingRequest } from "../../../../src/proxy/cluster/host.ts";
import type { RequestHead } from "../../../../src/proxy/exchange.ts";
import { KEYS_BYTES_MAX } from "../../../../src/proxy/jwt/key_request.ts";
import { KeyServer } from "../../../../src/proxy/jwt/key_server.ts";

interface Answer {
  readonly status?: number;
  readonly body?: string;
}

/** Hosts that answer at once; null: never. */
class Internet {
  readonly clock = new ManualClock(0);
  readonly called: HostAddress[] = [];
  readonly asked: string[] = [];
  readonly server: KeyServer;
  withdrawn = 0;

  constructor(answers: Readonly<Record<string, Answer | null>>, allowed: readonly string[] = []) {
    this.server = new KeyServer({
      clock: this.clock,
      allowed: allowed.map((text) => Network.parse(text) as Network),
      resolve: (name) =>
        name === "nowhere.test"
          ? Promise.reject(new Error("ENOTFOUND"))
          : Promise.resolve({ addresses: ADDRESSES[name] ?? ["192.0.2.1"], ttlMs: 0 }),
      host: (address) => {
        this.called.push(address);
        const request = (pending: PendingRequest, head: RequestHead) => {
          const url = `${head.scheme}://${head.authority}${head.path}`;
          this.asked.push(url);
          const answer = answers[url];
          if (answer === null) return null;
          const { status = 200, body = "" } = answer ?? { status: 404 };
          queueMicrotask(() => {
            pending.onResponse({ status, headers: [], bodyLength: -1 });
            pending.onResponseBody(new TextEncoder().encode(body));
            pending.onResponseEnd(null);
          });
          return { body: () => true, end() {}, reset() {}, pauseResponse() {}, resumeResponse() {} };
        };
        return { active: 0, request, withdraw: () => this.withdrawn++ } as unknown as Host;
      },
    });
  }

  async get(url: string): Promise<string> {
    return await this.server.keys(url, 5_000).catch((error: Error) => `${error.name}: ${error.message}`);
  }
}

const ADDRESSES: Readonly<Record<string, readonly string[]>> = {
  "metadata.test": ["169.254.169.254"],
  "loopback.test": ["127.0.0.1", "::1"],
  "both.test": ["127.0.0.1", "192.0.2.7"],
};

describe("KeyServer", () => {
  test.each([
    ...["http://127.0.0.1:15000/", "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0/"],
    ...["http://localhost./", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::127.0.0.1]/"],
    ...["http://[64:ff9b::169.254.169.254]/", "http://[2002:7f00:1::]/", "http://[fe80::1]/", "http://[::]/"],
    ...["http://169.254.169.254/latest/meta-data/", "http://169.254.170.2/", "http://[fd00:ec2::254]/"],
    ...["http://100.100.100.200/", "http://0.0.0.0/", "http://224.0.0.1/", "http://255.255.255.255/"],
    ...["http://metadata.test/", "https://loopback.test/", "http://127.0.0.1.:80/"],
    ...[
      "file:///etc/passwd",
      "ftp://keys.test/",
      "gopher://keys.test/",
      "data:,{}",
      "unix:/run/x.sock",
      "/x",
    ],
  ])("never asks %p", async (url) => {
    const internet = new Internet({});
    const localhost = url.includes("localhost") ? { "localhost.": ["127.0.0.1"] } : {};
    Object.assign(ADDRESSES, localhost);
    expect(await internet.get(url)).toStartWith("KeyServerError: ");
    expect(internet.called).toEqual([]);
  });

  test("calls the address that it looked at, and no other", async () => {
    const internet = new Internet({ "https://both.test/keys": { body: "keys" } });
    expect(await internet.get("https://both.test/keys")).toBe("keys");
    expect(internet.called).toEqual([{
      ...{ hostname: "192.0.2.7", port: 443, spiffeId: null, protocol: "http1" },
      tls: { sni: "both.test", certificate: null, rootsFile: null, names: ["both.test"], insecure: false },
    }]);
  });

  test("asks where the operator says that it may", async () => {
    const internet = new Internet({ "http://127.0.0.1:8080/keys": { body: "keys" } }, ["127.0.0.0/8"]);
    expect(await internet.get("http://127.0.0.1:8080/keys")).toBe("keys");
    expect(await internet.get("http://169.254.169.254/")).toContain("unless --jwks-allow has it");
  });

  test.each([
    ["a redirect", { status: 302 }, "the answer is a redirect (302), which is not followed"],
    ["a failure", { status: 500, body: "keys" }, "the answer is 500"],
    ["no content", { status: 204 }, "the answer is 204"],
    [
      "a flood",
      { body: "x".repeat(KEYS_BYTES_MAX + 1) },
      `the answer is longer than ${KEYS_BYTES_MAX} bytes`,
    ],
  ])("%s is no set of keys", async (_, answer, message) => {
    const internet = new Internet({ "http://keys.test/": answer });
    expect(await internet.get("http://keys.test/")).toBe(`KeyServerError: ${message}`);
  });

  test("an answer at the limit is taken", async () => {
    const body = "x".repeat(KEYS_BYTES_MAX);
    expect(await new Internet({ "http://keys.test/": { body } }).get("http://keys.test/")).toBe(body);
  });

  test("waits no longer than it may", async () => {
    const internet = new Internet({ "http://keys.test/": null });
    const got = internet.get("http://keys.test/");
    await Bun.sleep(0);
    internet.clock.advance(5_000);
    expect(await got).toBe("KeyServerError: no answer within 5000 ms");
    expect(internet.withdrawn).toBe(1);
  });

  test("a name without an address is said", async () => {
    expect(await new Internet({}).get("http://nowhere.test/")).toBe(
      "KeyServerError: the name nowhere.test has no address",
    );
  });
});

describe("discovery", () => {
  const WELL_KNOWN = "https://issuer.test/realm/.well-known/openid-configuration";
  const configuration = (more: object) =>
    JSON.stringify({ issuer: "https://issuer.test/realm", jwks_uri: "https://keys.test/set", ...more });

  async function discover(body: string): Promise<string> {
    const internet = new Internet({ [WELL_KNOWN]: { body }, "https://keys.test/set": { body: "keys" } });
    return await internet.server.discovered("https://issuer.test/realm", 5_000)
      .catch((error: Error) => error.message);
  }

  test("takes the keys that the issuer's own configuration names", async () => {
    expect(await discover(configuration({}))).toBe("keys");
  });

  test.each([
    ["garbage", "not JSON"],
    [configuration({ issuer: "https://issuer.test" }), "of another issuer"],
    [configuration({ jwks_uri: 1 }), "names no jwks_uri"],
    [configuration({ jwks_uri: "http://keys.test/set" }), "from https to something else"],
    [configuration({ jwks_uri: "https://169.254.169.254/" }), "nobody is asked for keys"],
    [configuration({ jwks_uri: "https://keys.test/other" }), "the answer is 404"],
  ])("%p leads nowhere", async (body, message) => {
    expect(await discover(body)).toContain(message);
  });
});
