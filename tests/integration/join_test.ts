/** A sidecar joins with a token file and nothing else, is refused with anything less, and then needs nobody. */
import { beforeAll, describe, expect } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { startEcho } from "./apps.ts";
import { type Bowline, endEverythingAfterwards, everythingSaid, scenario, until } from "./bowline.ts";
import { viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const mesh = new Mesh("127.0.6");
const CLIENT = mesh.address(10);
const STORE = mesh.address(11);
/** Where those stand that are not let in. */
const REFUSED = 20;

let client: Bowline;
let store: Bowline;
let usedToken: string;

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write("mesh.yaml", service("store"), workload("client", CLIENT), workload("store", STORE));
  mesh.write("others.yaml", workload("refused", mesh.address(REFUSED)), workload("late", mesh.address(13)));
  await mesh.startControlPlane();
  await startEcho("store", STORE);
});

async function storeAnswers(): Promise<boolean> {
  return (await viaSidecar(CLIENT, "store")).status === 200;
}

/** Starts a sidecar with a token that will not do; returns what it says at its end. */
async function refusal(tokenFile: string): Promise<string> {
  const sidecar = await mesh.launchSidecar("shop/refused", { at: REFUSED, tokenFile });
  expect(await sidecar.endsByItself()).toBe(65);
  expect(sidecar.stdout).toBe("");
  expect(sidecar.stderr).not.toContain("    at ");
  expect(existsSync(join(mesh.dataOf("shop/refused"), "identity.json"))).toBe(false);
  return sidecar.stderr.slice(sidecar.stderr.indexOf("Error: "));
}

/** The token with other claims, and its old signature. */
function altered(token: string, claims: Readonly<Record<string, unknown>>): string {
  const [header, payload, signature] = token.split(".") as [string, string, string];
  const old = JSON.parse(Buffer.from(payload, "base64url").toString()) as object;
  const text = JSON.stringify({ ...old, ...claims });
  return [header, Buffer.from(text).toString("base64url"), signature].join(".");
}

describe("joining", () => {
  scenario("two sidecars join with a token file each, and a call goes from one to the other", async () => {
    usedToken = await mesh.tokenFile({ workload: "shop/store" });
    store = await mesh.startSidecar("shop/store", { at: 11, tokenFile: usedToken });
    client = await mesh.startSidecar("shop/client", { at: 10 });
    await mesh.untilSynced(2);
    expect(await storeAnswers()).toBe(true);
    const rows = (await mesh.proxies()).map(({ workload, address }) => `${workload} ${address}`);
    expect(rows.toSorted()).toEqual([`shop/client ${CLIENT}`, `shop/store ${STORE}`]);
  });

  scenario("keys and state are the owner's alone: files 0600, directories 0700", async () => {
    const modes: string[] = [];
    for (const data of [mesh.controlPlaneData, mesh.dataOf("shop/client"), mesh.dataOf("shop/store")]) {
      for (const name of ["", ...readdirSync(data, { recursive: true }) as string[]]) {
        const status = statSync(join(data, name));
        const wanted = status.isDirectory() ? 0o700 : 0o600;
        if ((status.mode & 0o777) !== wanted) modes.push(`${data}/${name} ${status.mode.toString(8)}`);
      }
    }
    expect(modes).toEqual([]);
    expect(statSync(join(mesh.dataOf("shop/store"), "identity.json")).size).toBeGreaterThan(0);
  });
});

describe("what is refused ends the process with 65 and the reason", () => {
  scenario("a token that was used", async () => {
    const said = await refusal(usedToken);
    expect(said).toStartWith("Error: The control plane refused to enrol: ");
    expect(said).toContain("`bowline token create` makes another token; ca/audit.jsonl");
    await mesh.controlPlane.says("token_used");
  });

  scenario("a token that has expired", async () => {
    const tokenFile = await mesh.tokenFile({ workload: "shop/refused", ttl: "1s" });
    const [, payload] = readFileSync(tokenFile, "utf8").split(".") as [string, string];
    const { exp } = JSON.parse(Buffer.from(payload, "base64url").toString()) as { exp: number };
    await until("the token has expired", () => Date.now() > exp * 1000);
    expect(await refusal(tokenFile)).toStartWith("Error: The control plane refused to enrol: ");
    await mesh.controlPlane.says("token_expired");
  });

  scenario(
    "a token that was altered: the signature, the workload, the expiry; the true one still works",
    async () => {
      const token = await mesh.token({ workload: "shop/refused" });
      const [header, payload, signature] = token.split(".") as [string, string, string];
      const flipped = (signature.startsWith("A") ? "B" : "A") + signature.slice(1);
      const wrong = [
        [header, payload, flipped].join("."),
        altered(token, { exp: 4_000_000_000 }),
        altered(token, { workload: "shop/client", sub: "spiffe://cluster.local/ns/shop/sa/client" }),
        [Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url"), payload, signature].join("."),
      ];
      for (const text of wrong) {
        const said = await refusal(mesh.file("altered.token", text));
        expect(said).toStartWith("Error: The control plane refused to enrol: ");
      }
      await mesh.controlPlane.says("token_invalid");
      const good = mesh.file("good.token", token);
      const sidecar = await mesh.startSidecar("shop/refused", {
        at: REFUSED,
        tokenFile: good,
        data: "accepted",
      });
      expect(await sidecar.end()).toBe(0);
    },
  );

  scenario("a token with another pin: this is not the control plane that made it", async () => {
    const token = await mesh.token({ workload: "shop/refused" });
    const file = mesh.file("pin.token", altered(token, { caPin: `sha256:${"0".repeat(64)}` }));
    expect(await refusal(file)).toContain("is not the control plane that made the token");
  });

  scenario("a file that is not there, is empty, is no token, is a directory", async () => {
    const missing = join(mesh.directory, "no-such.token");
    expect(await refusal(missing)).toContain(`${missing}: there is no such file`);
    expect(await refusal(mesh.file("empty.token", "\n"))).toContain(
      "does not hold a join token: it is empty",
    );
    for (const garbage of ["garbage", "a.b.c", "x".repeat(5_000), "\x00\xff\x00", "..", "-----BEGIN-----"]) {
      expect(await refusal(mesh.file("garbage.token", garbage))).toContain("does not hold a join token: ");
    }
    expect(await refusal(mesh.config)).toContain("it is a directory");
  });

  scenario("no token at all, and nothing on disk", async () => {
    const sidecar = await mesh.launchSidecar("shop/refused", { at: REFUSED, tokenFile: null });
    expect(await sidecar.endsByItself()).toBe(65);
    expect(sidecar.stderr).toContain("no join token");
  });

  scenario("a token for another workload than the one that the data directory belongs to", async () => {
    const sidecar = await mesh.launchSidecar("shop/late", { at: 13, data: "accepted" });
    expect(await sidecar.endsByItself()).toBe(65);
    expect(sidecar.stderr).toContain(
      "belongs to shop/refused; give each workload a data directory of its own",
    );
  });
});

describe("without the control plane", () => {
  scenario(
    "under traffic it is stopped and started again: no request fails, all proxies come back",
    async () => {
      let stop = false;
      const failures: string[] = [];
      let answered = 0;
      const traffic = (async () => {
        while (!stop) {
          const { status, headers } = await viaSidecar(CLIENT, "store");
          if (status === 200) answered++;
          else failures.push(`${status} ${headers["x-bowline-reply"]?.[0]}`);
        }
      })();
      await until("traffic flows", () => answered > 5);
      expect(await mesh.controlPlane.end()).toBe(0);
      const before = answered;
      await until("traffic flows without the control plane", () => answered > before + 10);
      await mesh.startControlPlane();
      await mesh.untilSynced(2);
      const after = answered;
      await until("traffic flows with the new control plane", () => answered > after + 10);
      stop = true;
      await traffic;
      expect(failures).toEqual([]);
    },
  );

  scenario("a sidecar starts again from its disk, without a token", async () => {
    expect(await store.end()).toBe(0);
    store = await mesh.startSidecar("shop/store", { at: 11, tokenFile: null });
    await until("the store answers", storeAnswers);
    await mesh.untilSynced(2);
  });

  scenario(
    "another one in the same data directory does not start, also when the socket there is gone",
    async () => {
      rmSync(join(mesh.dataOf("shop/store"), "admin.sock"));
      const second = await mesh.launchSidecar("shop/store", { at: 13, tokenFile: null });
      expect(await second.endsByItself()).toBe(69);
      expect(second.stderr).toContain("admin.sock: another process already does");
      expect(await storeAnswers()).toBe(true);
    },
  );

  scenario("it needs the token file no more, even when it is told of one", async () => {
    expect(await store.end()).toBe(0);
    store = await mesh.startSidecar("shop/store", { at: 11, tokenFile: join(mesh.directory, "gone.token") });
    await until("the store answers", storeAnswers);
  });

  scenario("both start again, one of them after a kill, while it is down: they serve as before", async () => {
    await mesh.untilSynced(2);
    const snapshot = join(mesh.dataOf("shop/client"), "snapshot.json");
    await until("the snapshot is on disk", () => existsSync(snapshot));
    expect(await mesh.controlPlane.end()).toBe(0);
    await Promise.all([client.end("SIGKILL"), store.end()]);
    client = await mesh.startSidecar("shop/client", { at: 10, tokenFile: null });
    store = await mesh.startSidecar("shop/store", { at: 11, tokenFile: null });
    expect(await storeAnswers()).toBe(true);
    expect(client.stderr).toContain("Serving the snapshot on disk");
    await mesh.startControlPlane();
    await mesh.untilSynced(2);
    expect(await storeAnswers()).toBe(true);
  });

  scenario("a new sidecar waits for it: not ready, no traffic, until it is there", async () => {
    const tokenFile = await mesh.tokenFile({ workload: "shop/late" });
    await mesh.controlPlane.end();
    const late = await mesh.launchSidecar("shop/late", { at: 13, tokenFile });
    await late.says("Cannot join yet");
    const ready = await fetch(`http://${mesh.address(13)}:15021/healthz/ready`);
    expect([ready.status, await ready.text()]).toEqual([503, "waiting for a certificate\n"]);
    await expect(viaSidecar(mesh.address(13), "store")).rejects.toThrow();
    await mesh.startControlPlane();
    await mesh.untilReady(late, 13);
    expect((await viaSidecar(mesh.address(13), "store")).status).toBe(200);
    expect(await late.end()).toBe(0);
  });

  scenario("a sidecar that waits for it can be stopped", async () => {
    const tokenFile = await mesh.tokenFile({ workload: "shop/late" });
    await mesh.controlPlane.end();
    const sidecar = await mesh.launchSidecar("shop/late", { at: 13, tokenFile, data: "impatient" });
    await sidecar.says("Cannot join yet");
    expect(await sidecar.end()).toBe(0);
    await mesh.startControlPlane();
  });
});

scenario(
  "a workload that is in no file joins under its own name, at the address that it comes from",
  async () => {
    await mesh.untilSynced(2);
    const guest = await mesh.startSidecar("shop/guest", { at: 12 });
    await mesh.untilSynced(3);
    expect((await mesh.proxies()).find(({ workload }) => workload === "shop/guest")?.address).toBe(
      mesh.address(12),
    );
    expect(await guest.end()).toBe(0);
    await mesh.untilSynced(2);
  },
);

scenario("no secret stands in any log: no token, no key", async () => {
  const said = everythingSaid();
  expect(said).toContain("Joined the mesh");
  const secrets = mesh.tokens.flatMap((token) => token.split(".").slice(1));
  for (const name of ["shop/client", "shop/store"]) {
    const { key } = mesh.identityOf(name);
    secrets.push(...key.split("\n").filter((line) => line.length > 20 && !line.startsWith("-")));
  }
  const secret = readFileSync(join(mesh.controlPlaneData, "ca", "token.secret"));
  secrets.push(
    secret.toString("hex"),
    secret.toString("base64url"),
    secret.toString("base64"),
    "PRIVATE KEY",
  );
  expect(secrets.length).toBeGreaterThan(10);
  // `token create` prints its token: that is what it is for.
  const logs = said.split("\n").filter((line) => !mesh.tokens.includes(line)).join("\n");
  expect(secrets.filter((one) => logs.includes(one))).toEqual([]);
});
