/** Row 8: tokens that are forged, and servers of keys that fail, while the probe runs: none is taken. */
import { Prng } from "../../../src/lib/prng.ts";
import { until } from "../../../tests/integration/bowline.ts";
import { forgedTokens } from "../../../tests/integration/forged_tokens.ts";
import { KeepAliveClient } from "../../../tests/integration/keep_alive_client.ts";
import { BAD_PATHS, type Issuer, KeyServer, newIssuer } from "../../../tests/integration/key_server.ts";
import { NAMESPACE } from "../../../tests/integration/resources.ts";
import { atMost, type Check, exactly, noneFailed, type Row } from "../row.ts";
import { Stand, SUBNET } from "../stand.ts";

/** How often each forgery is tried, and how many good tokens are changed in one place. */
const ROUNDS = { full: 100, small: 2 };
const CHANGED = { full: 5_000, small: 100 };
const GOOD = { full: 500, small: 50 };
const CLIENTS = 16;

const KEYS = `${SUBNET}.30`;
const PORT = 7_000;
const ISSUER = "https://issuer.test";
const GOOD_CLAIMS = { iss: ISSUER, aud: "store" };

export const tokens: Row = {
  name: "8",
  what: "forged tokens, servers of keys that fail",
  async run(size) {
    const stand = await Stand.up({ storeEnv: { BOWLINE_JWKS_ALLOW: `${KEYS}/32` } });
    const server = new KeyServer();
    try {
      const [issuer, stranger, other] = await Promise.all([
        ...[newIssuer("one"), newIssuer("one"), newIssuer("other", "RS256")],
      ]) as [Issuer, Issuer, Issuer];
      server.keys = [issuer.publicJwk];
      await server.start(KEYS, PORT);
      stand.write(authentication(other));
      await until("the rules hold", async () => (await statuses(stand, ["garbage"]))[0] === 401);
      const probe = stand.probe();
      const good = (more: Record<string, unknown> = {}) => issuer.sign({ ...GOOD_CLAIMS, ...more });
      const many = (count: number, more: Record<string, unknown> = {}) =>
        Promise.all(Array.from({ length: count }, (_, jti) => good({ jti: String(jti), ...more })));

      // Nobody has asked for the keys yet, and all wait for them.
      const first = await statuses(stand, await many(CLIENTS));
      const fetches = server.asked.get("good");
      const taken = await statuses(stand, await many(GOOD[size]));
      const forged = await forgedTokens({ issuer, stranger, other }, GOOD_CLAIMS);
      const attempts = Array.from({ length: ROUNDS[size] }, () => Object.values(forged)).flat();
      const changed = changedTokens(await many(50), CHANGED[size]);
      const failing = await Promise.all(BAD_PATHS.map((iss) => good({ iss })));
      const checks: Check[] = [
        exactly("good tokens that were refused", refused(first) + refused(taken), 0),
        exactly("fetches of keys for all that waited at first", fetches, 1),
        accepted("forgeries", await statuses(stand, attempts)),
        accepted("tokens with one character changed", await statuses(stand, changed)),
        accepted(
          "tokens whose keys cannot be had",
          await statuses(stand, failing.flatMap((one) => [one, one, one])),
        ),
      ];
      const [next] = await Promise.all([newIssuer("next")]);
      server.keys = [next.publicJwk];
      const successor = await next.sign(GOOD_CLAIMS);
      await until("the new key is taken", async () => (await statuses(stand, [successor]))[0] === 200);
      return [
        ...checks,
        accepted("tokens of the key before", await statuses(stand, await many(GOOD[size]))),
        noneFailed("probe", await probe.stop()),
      ];
    } finally {
      await server.stop();
      await stand.down();
    }
  },
};

function authentication(other: Issuer): string {
  const url = (path: string) => `http://${KEYS}:${PORT}/${path}`;
  const rules = [
    `{ issuer: "${ISSUER}", jwksUri: "${url("good")}", audiences: [store] }`,
    `{ issuer: other, jwks: '${JSON.stringify({ keys: [other.publicJwk] })}' }`,
    ...BAD_PATHS.map((path) => `{ issuer: ${path}, jwksUri: "${url(path)}", timeout: 1s }`),
  ];
  return `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens, namespace: ${NAMESPACE} }
spec: { selector: { matchLabels: { app: store } }, jwtRules: [${rules.join(", ")}] }
`;
}

/** What a request with each of the tokens is answered. */
async function statuses(stand: Stand, tokens: readonly string[]): Promise<unknown[]> {
  const outcomes: unknown[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    const client = new KeepAliveClient(stand.target());
    while (next < tokens.length) {
      const at = next++;
      outcomes[at] = await client.get(`/?access_token=${tokens[at]}`);
    }
    client.close();
  }));
  return outcomes;
}

function refused(outcomes: readonly unknown[]): number {
  return outcomes.filter((outcome) => outcome !== 200).length;
}

function accepted(what: string, outcomes: readonly unknown[]): Check {
  const check = atMost(`${what}: not answered 401`, outcomes.filter((outcome) => outcome !== 401).length, 0);
  return { ...check, measured: `${check.measured} of ${outcomes.length}` };
}

/** Good tokens with another character in one place, of those that change what is said. */
function changedTokens(tokens: readonly string[], count: number): string[] {
  const random = new Prng(8);
  return Array.from({ length: count }, (_, i) => {
    const token = tokens[i % tokens.length] as string;
    // The last character of a part may stand for fewer bits than it has.
    const places = [...token.matchAll(/[A-Za-z0-9_-](?=[A-Za-z0-9_-])/g)].map(({ index }) => index);
    const at = places[random.below(places.length)] as number;
    return `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`;
  });
}
