import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SignJWT } from "jose";
import { JoinTokens, TOKEN_AUDIENCE, TOKENS_PENDING_MAX } from "../../../src/citadel/join_tokens.ts";
import {
  JOIN_TOKEN_CHARACTERS_MAX,
  readJoinToken,
  TOKEN_SOURCES_MAX,
} from "../../../src/identity/join_token_claims.ts";
import { generateKeyPair } from "../../../src/identity/key_pair.ts";
import { ManualClock } from "../../../src/lib/clock.ts";
import { TOKEN_LIFE_DEFAULT_MS, TOKEN_LIFE_MAX_MS, TOKEN_LIFE_MIN_MS } from "../../../src/model/admin.ts";
import { privateFiles } from "../../../src/runtime/private_files.ts";
import { CART, failingFiles, freshDirectory, removeDirectories, START_MS } from "./test_citadel.ts";

afterAll(removeDirectories);

const options = { ...CART, caPin: `sha256:${"0a".repeat(32)}`, ttlMs: TOKEN_LIFE_DEFAULT_MS };

async function fresh() {
  const directory = freshDirectory();
  const clock = new ManualClock(START_MS);
  return { directory, clock, tokens: await JoinTokens.open(directory, privateFiles, clock) };
}

async function redeem(tokens: JoinTokens, token: string): Promise<string> {
  try {
    await tokens.redeem(await tokens.verify(token));
    return "redeemed";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("JoinTokens.create()", () => {
  test("JoinTokens.create() makes a token that tells the joiner all it needs", async () => {
    const { tokens } = await fresh();
    const { token, expiresAtMs } = await tokens.create(options);
    expect(expiresAtMs).toBe(START_MS + TOKEN_LIFE_DEFAULT_MS);
    expect(readJoinToken(token, "the token")).toMatchObject({
      workload: CART.workload,
      sub: CART.spiffeId,
      controlPlane: CART.controlPlane,
      caPin: options.caPin,
      iat: START_MS / 1000,
      exp: expiresAtMs / 1000,
    });
  });

  test("JoinTokens.create() keeps neither token nor number on the disk, and all files closed", async () => {
    const { tokens, directory } = await fresh();
    const { token } = await tokens.create(options);
    const { jti } = readJoinToken(token, "the token");
    const names = readdirSync(directory, { recursive: true, encoding: "utf8" });
    expect(names).toHaveLength(6);
    for (const name of names) {
      const path = join(directory, name);
      const status = statSync(path);
      expect(status.mode & 0o777).toBe(status.isDirectory() ? 0o700 : 0o600);
      const content = status.isDirectory() ? "" : readFileSync(path, "latin1");
      for (const secret of [jti, token, token.split(".")[2] as string]) {
        expect(name + content).not.toContain(secret);
      }
    }
  });

  test("JoinTokens.create() has limits on the life of a token", async () => {
    const { tokens } = await fresh();
    for (const ttlMs of [TOKEN_LIFE_MIN_MS, TOKEN_LIFE_MAX_MS]) {
      expect((await tokens.create({ ...options, ttlMs })).expiresAtMs).toBe(START_MS + ttlMs);
    }
    for (const ttlMs of [TOKEN_LIFE_MIN_MS - 1, TOKEN_LIFE_MAX_MS + 1, NaN]) {
      await expect(tokens.create({ ...options, ttlMs })).rejects.toMatchObject({ code: "request_invalid" });
    }
  });

  test("JoinTokens.create() refuses claims that no joiner could read", async () => {
    const { tokens } = await fresh();
    for (
      const odd of [{ controlPlane: "host" }, { workload: "cart" }, { spiffeId: "cart" }, { caPin: "0a" }]
    ) {
      await expect(tokens.create({ ...options, ...odd })).rejects.toMatchObject({ code: "request_invalid" });
    }
    await expect(tokens.create({ ...options, controlPlane: "host" })).rejects.toThrow(
      'The control plane\'s address must be HOST:PORT, not "host"',
    );
    const long = `spiffe://mesh.test/ns/shop/sa/${"a".repeat(2000)}`;
    const token = await tokens.create({ ...options, spiffeId: long });
    expect(token.token.length).toBeLessThanOrEqual(JOIN_TOKEN_CHARACTERS_MAX);
  });

  test("JoinTokens.create() has a limit on unused tokens, until they expire", async () => {
    const clock = new ManualClock(START_MS);
    const exp = START_MS / 1000 + 60;
    let unused = TOKENS_PENDING_MAX - 1;
    const removed: string[] = [];
    const tokens = await JoinTokens.open(freshDirectory(), {
      ...privateFiles,
      list: async (path) =>
        !path.endsWith("pending") ? [] : Array.from({ length: unused }, (_, i) => `${exp}-${i}`),
      remove: async (_directory, names) => void removed.push(...names),
    }, clock);
    await tokens.create(options);
    unused++;
    await expect(tokens.create(options)).rejects.toMatchObject({ code: "request_invalid" });
    expect(removed).toEqual([]);
    clock.advance(60_000);
    await tokens.create(options);
    expect(removed).toHaveLength(TOKENS_PENDING_MAX);
  });
});

describe("JoinTokens.redeem()", () => {
  test("JoinTokens.redeem() takes a token once, also across a restart", async () => {
    const { tokens, directory, clock } = await fresh();
    const [one, two] = [await tokens.create(options), await tokens.create(options)];
    expect(await redeem(tokens, one.token)).toBe("redeemed");
    expect(await redeem(tokens, one.token)).toBe("token_used");
    const again = await JoinTokens.open(directory, privateFiles, clock);
    expect(await redeem(again, one.token)).toBe("token_used");
    expect(await redeem(again, two.token)).toBe("redeemed");
    expect(await redeem(tokens, two.token)).toBe("token_used");
  });

  test("JoinTokens.redeem() succeeds for exactly one of 100 at once, in two processes' worth of books", async () => {
    const { tokens, directory, clock } = await fresh();
    const other = await JoinTokens.open(directory, privateFiles, clock);
    const { token } = await tokens.create(options);
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, i) => redeem(i % 2 === 0 ? tokens : other, token)),
    );
    expect(results.filter((result) => result === "redeemed")).toHaveLength(1);
    expect(results.filter((result) => result === "token_used")).toHaveLength(99);
  });

  test("JoinTokens.redeem() refuses a token from its expiry on, and forgets it", async () => {
    const { tokens, directory, clock } = await fresh();
    const [used, late, inTime] = [
      await tokens.create(options),
      await tokens.create(options),
      await tokens.create(options),
    ];
    await redeem(tokens, used.token);
    clock.advance(TOKEN_LIFE_DEFAULT_MS - 1);
    expect(await redeem(tokens, inTime.token)).toBe("redeemed");
    clock.advance(1);
    for (const { token } of [used, late]) expect(await redeem(tokens, token)).toBe("token_expired");
    await JoinTokens.open(directory, privateFiles, clock);
    for (const book of ["pending", "used"]) expect(readdirSync(join(directory, "tokens", book))).toEqual([]);
  });

  test("JoinTokens.redeem() refuses a token that is not on the books", async () => {
    const { tokens, directory } = await fresh();
    const { token } = await tokens.create(options);
    const pending = join(directory, "tokens/pending");
    await privateFiles.remove(pending, readdirSync(pending));
    expect(await redeem(tokens, token)).toBe("token_unknown");
  });

  test("JoinTokens.redeem() fails when the disk does, and never lets the token be used twice", async () => {
    for (const when of ["before", "after"] as const) {
      const { tokens, directory, clock } = await fresh();
      const { token } = await tokens.create(options);
      // Opening makes three directories; the fourth change is the move.
      const failing = await JoinTokens.open(directory, failingFiles(3, when), clock);
      expect(await redeem(failing, token)).toBe("failed");
      expect(await redeem(tokens, token)).toBe(when === "before" ? "redeemed" : "token_used");
      expect(await redeem(tokens, token)).toBe("token_used");
    }
  });
});

describe("JoinTokens.verify()", () => {
  test("JoinTokens.verify() refuses forged, altered and foreign tokens with one code", async () => {
    const { tokens, directory, clock } = await fresh();
    const other = (await fresh()).tokens;
    const { token } = await tokens.create(options);
    const [header, payload, signature] = token.split(".") as [string, string, string];
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const secret = new Uint8Array(readFileSync(join(directory, "token.secret")));
    const sign = (body: object, alg = "HS256", key: Uint8Array | CryptoKey = secret) =>
      new SignJWT(body as Record<string, unknown>).setProtectedHeader({ alg }).sign(key);
    const foreign = (await generateKeyPair()).privateKey;
    const odd = [
      "",
      "a",
      "a.b.c",
      `${header}.${payload}.`,
      `${header}.${payload}`,
      `${token}.x`,
      `${header}.${payload}.${"A".repeat(signature.length)}`,
      `${header}.${encode({ ...claims, workload: "shop/admin" })}.${signature}`,
      `${header}.${encode({ ...claims, sub: "spiffe://mesh.test/ns/shop/sa/admin" })}.${signature}`,
      `${header}.${encode({ ...claims, exp: claims.exp + 1 })}.${signature}`,
      `${encode({ alg: "none" })}.${payload}.`,
      `${encode({ alg: "None" })}.${payload}.${signature}`,
      await sign({ ...claims }, "HS512", new Uint8Array(64)),
      await sign({ ...claims }, "HS384", Buffer.concat([secret, secret])),
      await sign({ ...claims }, "ES256", foreign),
      await sign({ ...claims }, "HS256", new Uint8Array(32)),
      await sign({ ...claims, aud: "istio-ca" }),
      await sign({ ...claims, aud: undefined }),
      await sign({ ...claims, exp: undefined }),
      await sign({ ...claims, jti: undefined }),
      await sign({ ...claims, jti: "../../token.secret" }),
      await sign({ ...claims, nbf: claims.exp }),
      (await other.create(options)).token,
    ];
    for (const each of odd) {
      await expect(tokens.verify(each)).rejects.toMatchObject({
        code: "token_invalid",
        message: "The join token is not valid here",
      });
    }
    expect(await tokens.verify(await sign({ ...claims }))).toMatchObject({ jti: claims.jti });
    expect(claims.aud).toBe(TOKEN_AUDIENCE);
    expect(await redeem(await JoinTokens.open(directory, privateFiles, clock), token)).toBe("redeemed");
  });

  test("JoinTokens.verify() keeps token and number out of what it throws", async () => {
    const { tokens, clock } = await fresh();
    const { token } = await tokens.create(options);
    const { jti } = readJoinToken(token, "the token");
    await tokens.redeem(await tokens.verify(token));
    const thrown = [await tokens.redeem(await tokens.verify(token)).catch((error: unknown) => error)];
    clock.advance(TOKEN_LIFE_DEFAULT_MS);
    thrown.push(await tokens.verify(token).catch((error: unknown) => error));
    thrown.push(await tokens.verify(`${token}x`).catch((error: unknown) => error));
    for (const error of thrown) {
      const text = Bun.inspect(error);
      expect(text).toContain("CitadelError");
      expect(text).not.toContain(jti);
      expect(text).not.toContain(token.split(".")[2] as string);
    }
  });

  test("JoinTokens.verify() has a limit on characters", async () => {
    const { tokens } = await fresh();
    for (
      const [length, detail] of [[JOIN_TOKEN_CHARACTERS_MAX, "refused"], [
        JOIN_TOKEN_CHARACTERS_MAX + 1,
        "longer",
      ]] as const
    ) {
      await expect(tokens.verify("a".repeat(length))).rejects.toMatchObject({
        code: "token_invalid",
        detail: expect.stringContaining(detail),
      });
    }
  });
});

describe("JoinTokens.open()", () => {
  test("JoinTokens.open() refuses a secret of another length", async () => {
    for (const length of [0, 31, 33]) {
      const directory = freshDirectory();
      writeFileSync(join(directory, "token.secret"), new Uint8Array(length), { mode: 0o600 });
      await expect(JoinTokens.open(directory, privateFiles, new ManualClock(START_MS))).rejects.toThrow(
        "token.secret",
      );
    }
  });
});

describe("JoinTokens.list()", () => {
  test("JoinTokens.list() has what is neither used nor revoked nor expired, and no secret", async () => {
    const { tokens, directory, clock } = await fresh();
    const source = ["10.0.0.0/8", "fd00::/8"];
    const [used, revoked, short, left] = [
      await tokens.create(options),
      await tokens.create(options),
      await tokens.create({ ...options, ttlMs: 1000 }),
      await tokens.create({ ...options, group: "shop/cart", source }),
    ];
    expect((await tokens.list()).map(({ id }) => id).toSorted()).toEqual(
      [used, revoked, short, left].map(({ id }) => id).toSorted(),
    );
    expect(await redeem(tokens, used.token)).toBe("redeemed");
    await tokens.revoke(revoked.id);
    clock.advance(1000);
    for (const each of [tokens, await JoinTokens.open(directory, privateFiles, clock)]) {
      expect(await each.list()).toEqual([{
        id: left.id,
        workload: CART.workload,
        group: "shop/cart",
        spiffeId: CART.spiffeId,
        source,
        expiresAt: new Date(left.expiresAtMs).toISOString(),
      }]);
    }
    const { jti } = readJoinToken(left.token, "the token");
    expect(jti).not.toContain(left.id);
  });
});

describe("JoinTokens.revoke()", () => {
  test("JoinTokens.revoke() makes a token worthless, once, and not one that was used", async () => {
    const { tokens } = await fresh();
    const [one, two] = [await tokens.create(options), await tokens.create(options)];
    await tokens.revoke(one.id);
    expect(await redeem(tokens, one.token)).toBe("token_unknown");
    expect(await redeem(tokens, two.token)).toBe("redeemed");
    for (const id of [one.id, two.id, "", "0".repeat(12), "../../used"]) {
      await expect(tokens.revoke(id)).rejects.toMatchObject({
        code: "request_invalid",
        message:
          `No join token that is still good has the id "${id}"; bowline token list shows those that are out`,
      });
    }
  });
});

describe("JoinTokens.verify() of a token for some networks", () => {
  test("JoinTokens.verify() takes it from there only, and does not use it up elsewhere", async () => {
    const { tokens } = await fresh();
    const { token, id } = await tokens.create({ ...options, source: ["10.1.0.0/16", "fd00::7"] });
    for (const from of ["10.2.0.1", "127.0.0.1", "fd00::8", "::ffff:10.2.0.1", "", "10.1", undefined]) {
      await expect(tokens.verify(token, from)).rejects.toMatchObject({
        code: "token_invalid",
        message: "The join token is not valid here",
        detail: expect.stringContaining(`The join token ${id} for shop/cart-v1`),
      });
    }
    for (const from of ["10.1.255.255", "fd00::7", "::ffff:10.1.0.1"]) await tokens.verify(token, from);
  });

  test("JoinTokens.create() refuses what is no network, none, and one too many", async () => {
    const { tokens } = await fresh();
    const many = Array.from({ length: TOKEN_SOURCES_MAX }, (_, i) => `10.0.0.${i}`);
    await tokens.create({ ...options, source: many });
    for (const source of [[], ["web"], ["10.0.0.0/33"], [...many, "10.1.0.0/16"]]) {
      await expect(tokens.create({ ...options, source })).rejects.toMatchObject({
        code: "request_invalid",
        message: expect.stringContaining(`1 to ${TOKEN_SOURCES_MAX} networks`),
      });
    }
  });
});
