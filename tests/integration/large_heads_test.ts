/** Heads as large as they may be pass both proxies, whatever these add; one byte or field more is refused by the first. */
import { beforeAll, describe, expect } from "bun:test";
import { endEverythingAfterwards, scenario } from "./bowline.ts";
import { exchange } from "./clients.ts";
import { startFaulty } from "./faulty_upstream.ts";
import { Mesh } from "./mesh.ts";
import { service, virtualService, workload } from "./resources.ts";

/** The defaults of `--limit`. */
const HEAD_BYTES = 60 * 1024;
const FIELDS = 100;

const mesh = new Mesh("127.0.75");
const CLIENT = mesh.address(10);
const STORE = mesh.address(11);
/** Takes heads twice as large. */
const WIDE = mesh.address(12);

/** What copies a field makes of a head that is as large as it may be is too large for the next proxy. */
const GROWS = `- match: [{ uri: { prefix: /grows } }]
  headers: { request: { set: { x-copy: "%REQ(x)%" } } }
  route: [{ destination: { host: store } }]
- route: [{ destination: { host: store } }]`;

/** A request for `/held/CALLER` that the store has, and answers when it is told to. */
const held = new Map([CLIENT, WIDE].map((caller) => [caller, {
  arrived: Promise.withResolvers<void>(),
  released: Promise.withResolvers<void>(),
}]));

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write(
    "mesh.yaml",
    service("store"),
    workload("client", CLIENT),
    workload("store", STORE),
    workload("wide", WIDE),
    virtualService("store", GROWS),
  );
  await mesh.startControlPlane();
  await mesh.startSidecar("shop/client", { at: 10 });
  await mesh.startSidecar("shop/store", { at: 11 });
  const env = { BOWLINE_LIMIT: `request-header-bytes=${2 * HEAD_BYTES}` };
  await mesh.startSidecar("shop/wide", { at: 12, env });
  await startFaulty(STORE, 8080, (socket, { path }) => {
    const [, what, size] = path.split("/");
    const first = ["HTTP/1.1 200 OK", "Content-Length: 0"];
    const whole = {
      bytes: (size: number) => ofBytes(size, first),
      fields: (count: number) => ofFields(count, first),
    };
    const answer = what === "bytes" || what === "fields" ? whole[what](Number(size)) : whole.fields(1);
    const hold = what === "held" ? held.get(size ?? "") : undefined;
    hold?.arrived.resolve();
    if (hold === undefined) socket.write(answer);
    else void hold.released.promise.then(() => socket.write(answer));
  });
  await mesh.untilSynced(3);
});

/** A head of so many bytes, without its empty line, which follows. */
function ofBytes(bytes: number, first: readonly string[]): string {
  const head = `${first.join("\r\n")}\r\nX: `;
  return `${head}${"y".repeat(bytes - head.length - 2)}\r\n\r\n`;
}

/** A head of so many fields. */
function ofFields(count: number, first: readonly string[]): string {
  const more = Array.from({ length: count - first.length + 1 }, (_, i) => `X-${i}: y`);
  return `${[...first, ...more].join("\r\n")}\r\n\r\n`;
}

const REQUEST = ["GET / HTTP/1.1", "Host: store", "Connection: close"];

async function statusOf(request: string, caller = CLIENT): Promise<string> {
  return (await exchange(caller, 15001, request)).text.slice(9, 12);
}

describe("a request", () => {
  scenario(`of ${HEAD_BYTES} bytes`, async () => {
    expect(await statusOf(ofBytes(HEAD_BYTES, REQUEST))).toBe("200");
    expect(await statusOf(ofBytes(HEAD_BYTES + 1, REQUEST))).toBe("431");
  });

  scenario(`of ${FIELDS} fields`, async () => {
    expect(await statusOf(ofFields(FIELDS, REQUEST))).toBe("200");
    expect(await statusOf(ofFields(FIELDS + 1, REQUEST))).toBe("431");
  });
});

describe("a request that is too large for the next proxy is refused alone, and others on their way go on:", () => {
  const path = (path: string) => [`GET ${path} HTTP/1.1`, ...REQUEST.slice(1)];

  /** The status of the large one, while another request of the caller's waits for its answer, and that of the other. */
  async function besideAnother(caller: string, large: string): Promise<readonly string[]> {
    const { arrived, released } = held.get(caller) as ReturnType<typeof held.get> & object;
    const waiting = statusOf(ofFields(2, path(`/held/${caller}`)), caller);
    await arrived.promise;
    const status = await statusOf(large, caller);
    released.resolve();
    return [status, await waiting];
  }

  scenario("one that a rule makes so", async () => {
    expect(await besideAnother(CLIENT, ofBytes(HEAD_BYTES, path("/grows")))).toEqual(["431", "200"]);
    expect(await statusOf(ofBytes(HEAD_BYTES / 2, path("/grows")))).toBe("200");
  });

  scenario("one within the limit of its own proxy, which is wider", async () => {
    expect(await besideAnother(WIDE, ofBytes(2 * HEAD_BYTES, REQUEST))).toEqual(["431", "200"]);
  });
});

describe("a response", () => {
  const answer = (path: string) => statusOf(ofFields(2, [`GET ${path} HTTP/1.1`, ...REQUEST.slice(1)]));

  scenario(`of ${HEAD_BYTES} bytes`, async () => {
    expect(await answer(`/bytes/${HEAD_BYTES}`)).toBe("200");
    expect(await answer(`/bytes/${HEAD_BYTES + 1}`)).toBe("502");
  });

  scenario(`of ${FIELDS} fields`, async () => {
    expect(await answer(`/fields/${FIELDS}`)).toBe("200");
    expect(await answer(`/fields/${FIELDS + 1}`)).toBe("502");
  });
});
