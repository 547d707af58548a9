/** Regular expressions that make a backtracking engine hang, on headers as large as they may be, in a running sidecar. */
import { beforeAll, describe, expect } from "bun:test";
import { endEverythingAfterwards, scenario } from "./bowline.ts";
import { RawConnection } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, virtualService, workload } from "./resources.ts";

/** Bytes of the header. */
const LARGE = 50_000;
const SMALL = LARGE / 4;
const ROUNDS = 15;
/** Four times the text takes four times as long in linear time, sixteen times in quadratic time. */
const RATIO_MAX = 10;

/** The last comes close to as many instructions as repetitions may make. */
const EXPRESSIONS = ["(a+)+$", "(a|a)*b", "(a|aa)+b", "(.*a){8}b", "(.{0,10}){0,11}b"];

const mesh = new Mesh("127.0.73");
const CLIENT = mesh.address(10);

endEverythingAfterwards();

beforeAll(async () => {
  const rules = EXPRESSIONS.map((regex, i) =>
    `- match: [{ uri: { exact: /${i} }, headers: { x-a: { regex: ${JSON.stringify(regex)} } } }]
  directResponse: { status: 299 }
`
  );
  mesh.write(
    "mesh.yaml",
    service("store"),
    workload("client", CLIENT),
    virtualService("store", `${rules.join("")}- directResponse: { status: 200 }\n`),
  );
  await mesh.startControlPlane();
  await mesh.startSidecar("shop/client", { at: 10 });
  await mesh.untilSynced(1);
});

/** The status for a header of so many letters and what follows them, and how long it took. */
async function ask(
  connection: RawConnection,
  path: string,
  letters: number,
  end: string,
): Promise<{ status: string; ms: number }> {
  const startedMs = performance.now();
  connection.send(`GET ${path} HTTP/1.1\r\nHost: store\r\nX-A: ${"a".repeat(letters)}${end}\r\n\r\n`);
  const answer = await connection.read(/\r\n\r\n$/);
  return { status: answer.slice(9, 12), ms: performance.now() - startedMs };
}

describe("a regex on a header of 50 kB takes time linear in it", () => {
  EXPRESSIONS.forEach((regex, i) => {
    scenario(regex, async () => {
      const connection = new RawConnection(CLIENT, 15001);
      let [small, large] = [Infinity, Infinity];
      for (let round = 0; round < ROUNDS; round++) {
        const [one, other] = [
          await ask(connection, `/${i}`, SMALL, "!"),
          await ask(connection, `/${i}`, LARGE, "!"),
        ];
        expect([one.status, other.status]).toEqual(["200", "200"]);
        small = Math.min(small, one.ms);
        large = Math.min(large, other.ms);
      }
      expect(large / small).toBeLessThan(RATIO_MAX);
      connection.close();
    });
  });

  scenario("and finds what it looks for at the end of it", async () => {
    const connection = new RawConnection(CLIENT, 15001);
    expect((await ask(connection, "/0", LARGE, "")).status).toBe("299");
    expect((await ask(connection, "/1", LARGE, "b")).status).toBe("299");
    connection.close();
  });
});
