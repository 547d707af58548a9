/**
 * Random policies and random calls, from YAML to the verdict, against Istio's reference (istio_policy.ts): the same where a
 * call can be read in one way, and never more than every reading allows where it can be read in several.
 */
import { describe, expect, test } from "bun:test";
import type { RequestHead } from "../../src/proxy/exchange.ts";
import { requestAuthOf } from "../../src/proxy/jwt/request_auth.ts";
import { PolicyCall, policyPeer } from "../../src/proxy/policy/policy_call.ts";
import { PolicyTable } from "../../src/proxy/policy/policy_table.ts";
import { PolicyCatalogue } from "../../src/pilot/policies.ts";
import { PolicyCounts } from "../../src/telemetry/policy_counts.ts";
import { load } from "../unit/pilot/fixture.ts";
import { allows, type AuthorizationPolicy, type Call, type Request, ROOT_NAMESPACE } from "./istio_policy.ts";
import { documentOf, PolicyMaker, TRUST_DOMAIN } from "./random_policies.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 5);
const WORLDS = Number(process.env["FUZZ_RUNS"] ?? 5_000) / 20;
const CALLS = 30;

const WEB = { namespace: "shop", labels: { app: "web", version: "v1" } };
/** What the proxy says, from the resources on. */
function decider(policies: readonly AuthorizationPolicy[]): (call: Call) => boolean {
  const catalogue = new PolicyCatalogue(load(...policies.map(documentOf)), ROOT_NAMESPACE);
  const table = new PolicyTable(catalogue.policiesFor(WEB, [TRUST_DOMAIN]), new PolicyCounts());
  return ({ peer, sourceIp, destinationIp, port, http }) => {
    const id = peer && `spiffe://${TRUST_DOMAIN}/ns/${peer.namespace}/sa/${peer.serviceAccount}`;
    const caller = policyPeer(id, sourceIp);
    const destination = { address: destinationIp, port };
    return table.bind(caller, destination, http === null ? "tcp" : "http")
      .decide(new PolicyCall(caller, destination, http && headOf(http))).allowed;
  };
}

function headOf({ method, path, authority, headers, token }: Request): RequestHead {
  return {
    ...{ method, path, authority, headers: headers.flat(), scheme: "http", bodyLength: 0 },
    ...(token === null ? {} : { auth: requestAuthOf(token, []) }),
  };
}

/** A request as each server might read it: with parameters of its path or without, with one of several values or all. */
function readingsOf(call: Call): Call[] {
  const { http } = call;
  if (http === null) return [call];
  const bare =
    http.path.split("?", 1)[0]?.split("/").map((part) => part.replace(/(;|%3B).*/, "")).join("/") ?? "";
  const roles = ["x-role", "x-other"].map((name) => {
    const values = http.headers.filter(([other]) => other === name).map(([, value]) => value);
    return { name, readings: new Set([values.join(","), ...values]) };
  });
  const others = http.headers.filter(([name]) => !name.startsWith("x-role") && name !== "x-other");
  return [http.path, bare].flatMap((path) =>
    [...(roles[0]?.readings ?? [])].flatMap((role) =>
      [...(roles[1]?.readings ?? [])].map((other): Call => {
        const said = [["x-role", role], ["x-other", other]] as [string, string][];
        const headers = [...said.filter(([, value]) => value !== ""), ...others];
        return { ...call, http: { ...http, path, headers } };
      })
    )
  );
}

describe("AuthorizationPolicy", () => {
  test("says of any call what Istio's reference says", () => {
    const counts = { allowed: 0, refused: 0 };
    for (let world = 0; world < WORLDS; world++) {
      const maker = new PolicyMaker(SEED * 100_000 + world);
      const policies = maker.some(1, 4, () => maker.policy());
      const decide = decider(policies);
      for (let i = 0; i < CALLS; i++) {
        const call = maker.call(false);
        const allowed = allows(policies, WEB, call);
        if (decide(call) !== allowed) {
          throw new Error(
            `World ${world}: Istio ${allowed ? "allows" : "refuses"} ${JSON.stringify({ call, policies })}`,
          );
        }
        counts[allowed ? "allowed" : "refused"]++;
      }
    }
    expect(Math.min(counts.allowed, counts.refused)).toBeGreaterThan(WORLDS * CALLS / 10);
  });

  test("allows no call that somebody might read as one that Istio refuses", () => {
    let differ = 0;
    for (let world = 0; world < WORLDS; world++) {
      const maker = new PolicyMaker(SEED * 200_000 + world);
      const policies = maker.some(1, 2, () => maker.narrowPolicy());
      const decide = decider(policies);
      for (let i = 0; i < CALLS; i++) {
        const call = maker.call(true);
        const verdicts = readingsOf(call).map((reading) => allows(policies, WEB, reading));
        if (new Set(verdicts).size > 1) differ++;
        if (decide(call) && verdicts.includes(false)) {
          throw new Error(`World ${world}: it allows ${JSON.stringify({ call, policies })}`);
        }
      }
    }
    expect(differ).toBeGreaterThan(WORLDS);
  });
});
