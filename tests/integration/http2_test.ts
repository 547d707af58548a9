/** HTTP/2 with peers made by others, on real sockets: curl, h2load, nghttp and Node.js, each of them as the other end of our codec. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endEverythingAfterwards } from "./bowline.ts";
import { EchoServer, runTool, startNode, TestClient } from "./http2_peers.ts";

const MIB = 1024 * 1024;
const curl = (...args: string[]) =>
  runTool("curl", "curl", "--silent", "--show-error", "--http2-prior-knowledge", ...args);
const h2load = (...args: string[]) => runTool("h2load", "nghttp2-client", ...args);
const nghttp = (...args: string[]) => runTool("nghttp", "nghttp2-client", ...args);
const node = (program: string, ...args: string[]) => runTool("node", "nodejs", "-e", program, ...args);

const folder = mkdtempSync(join(tmpdir(), "bowline-http2-"));
const upload = join(folder, "upload");
let server: EchoServer;

endEverythingAfterwards();

beforeAll(() => {
  server = new EchoServer();
  writeFileSync(upload, Buffer.alloc(5 * MIB, "abcdefg"));
});

afterAll(() => {
  expect(server.malformed).toEqual([]);
  server.stop();
  rmSync(folder, { recursive: true });
});

describe("Http2ServerConnection serves", () => {
  test("curl: an answer, an upload and its echo, a large download", async () => {
    expect(await curl(`${server.origin}/`)).toBe("hello");
    const hash = async (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("hex");
    const echo = await curl("--data-binary", `@${upload}`, `${server.origin}/echo`);
    expect(await hash(echo)).toBe(await hash(await Bun.file(upload).text()));
    const size = await curl(
      "--output",
      "/dev/null",
      "--write-out",
      "%{size_download} %{http_version}",
      `${server.origin}/bytes/${50 * MIB}`,
    );
    expect(size).toBe(`${50 * MIB} 2`);
  });

  test("curl: a truncated answer is an error", async () => {
    await expect(curl(`${server.origin}/reset`)).rejects.toThrow("curl ended with 92");
  });

  test("nghttp: an upload with padding, priorities and trailers, answered with trailers", async () => {
    const shown = await nghttp(
      "-v",
      "-b",
      "200",
      "-d",
      upload,
      "--trailer",
      "x-last: 1",
      `${server.origin}/echo`,
    );
    expect(shown).toContain(`x-bytes: ${5 * MIB}`);
    expect(shown).not.toContain("ENHANCE_YOUR_CALM");
  });

  test("nghttp: many continuations", async () => {
    const shown = await nghttp(
      "-v",
      "--continuation",
      "-H",
      `x-large: ${"y".repeat(20_000)}`,
      `${server.origin}/`,
    );
    expect(shown).toContain(":status: 200");
  });

  test("h2load: 100,000 small requests on few connections, none of which fails", async () => {
    const report = await h2load("-n", "100000", "-c", "4", "-m", "100", `${server.origin}/`);
    expect(report).toContain("100000 done, 100000 succeeded, 0 failed, 0 errored, 0 timeout");
  });

  test("h2load: uploads and downloads with small windows", async () => {
    const windows = ["-c", "2", "-m", "10", "-w", "14", "-W", "16"];
    const report = await h2load("-n", "200", ...windows, "-d", upload, `${server.origin}/echo`);
    expect(report).toContain("200 done, 200 succeeded, 0 failed, 0 errored");
    const downloads = await h2load("-n", "100", ...windows, `${server.origin}/bytes/${2 * MIB}`);
    expect(downloads).toContain("100 done, 100 succeeded, 0 failed, 0 errored");
  });

  test("Node.js: an echo with trailers, cancels, pings and a reset, all on one connection", async () => {
    const program = `
      const http2 = require("node:http2");
      const session = http2.connect(process.argv[1]);
      const results = { closed: 0 };
      session.on("goaway", (code) => results.goaway = code);
      const run = (headers, body) => new Promise((resolve) => {
        const stream = session.request(headers, { endStream: body === undefined });
        let bytes = 0, status = 0, trailers = null, error = null, aborted = false;
        stream.on("response", (head) => status = head[":status"]);
        stream.on("trailers", (list) => trailers = list["x-bytes"]);
        stream.on("data", (chunk) => bytes += chunk.length);
        stream.on("error", (cause) => error = cause.code);
        stream.on("aborted", () => aborted = true);
        stream.on("close", () => resolve({ status, bytes, trailers, error, rst: stream.rstCode }));
        if (body !== undefined) stream.end(body);
      });
      (async () => {
        results.hello = await run({ ":path": "/", cookie: ["a=1", "b=2"] });
        results.echo = await run({ ":path": "/echo", ":method": "POST" }, Buffer.alloc(3_000_000));
        results.many = (await Promise.all(Array.from({ length: 1000 }, () => run({ ":path": "/bytes/20000" })))).filter((one) => one.bytes === 20000).length;
        for (let i = 0; i < 600; i++) {
          const stream = session.request({ ":path": "/bytes/10000000" });
          stream.on("error", () => {});
          await new Promise((resolve) => stream.on("response", () => { stream.on("close", resolve); stream.close(8); }));
          results.closed++;
        }
        results.ping = await new Promise((resolve) => session.ping((error) => resolve(error === null)));
        results.reset = await run({ ":path": "/reset" });
        results.after = await run({ ":path": "/" });
        session.close();
        console.log(JSON.stringify(results));
      })();`;
    const results = JSON.parse(await node(program, server.origin));
    expect(results).toMatchObject({
      hello: { status: 200, bytes: 5, error: null },
      echo: { status: 200, bytes: 3_000_000, trailers: "3000000", error: null },
      many: 1_000,
      closed: 600,
      ping: true,
      reset: { status: 200, bytes: 50_000, rst: 2 },
      after: { status: 200, bytes: 5 },
    });
    expect(results.goaway).toBeUndefined();
  }, 60_000);
});

describe("Http2ServerConnection and Node.js understand each other's HPACK:", () => {
  test("fields new and repeated, long and short, Huffman coded and never indexed, while tables change", async () => {
    const program = `
      const http2 = require("node:http2");
      const session = http2.connect(process.argv[1], { settings: { headerTableSize: 200 } });
      let seed = 1;
      const random = (limit) => (seed = (seed * 48271) % 2147483647) % limit;
      const text = (length) => Array.from({ length }, () => String.fromCharCode(33 + random(94))).join("");
      const ask = (headers) => new Promise((resolve) => {
        const stream = session.request(headers);
        let body = "", answer;
        stream.on("response", (head) => answer = head);
        stream.on("data", (chunk) => body += chunk);
        stream.on("end", () => resolve([JSON.parse(body), answer]));
        stream.on("error", () => resolve([{}, {}]));
      });
      (async () => {
        let wrong = 0;
        for (let n = 0; n < 1000; n++) {
          if (n % 100 === 50) session.settings({ headerTableSize: [0, 60, 4096, 100000][random(4)] });
          const headers = { ":path": "/headers", [http2.sensitiveHeaders]: ["x-f3"] };
          for (let i = random(12); i > 0; i--) headers["x-f" + random(30)] = random(3) === 0 ? text(random(300)) : "v" + random(20);
          const [seen, answered] = await ask(headers);
          for (const name of Object.keys(headers)) {
            if (name.startsWith("x-f") && (seen[name] !== headers[name] || answered[name] !== headers[name])) wrong++;
          }
        }
        session.close();
        console.log(wrong);
      })();`;
    expect(await node(program, server.origin)).toBe("0\n");
  });
});

describe("Http2ServerConnection.drain() under load", () => {
  test("loses no request: each is answered, or told that it may go elsewhere", async () => {
    const drained = new EchoServer();
    const outcomes = new Map<string, number>();
    for (let round = 0; round < 40; round++) {
      const client = await TestClient.connected(Number(new URL(drained.origin).port));
      const answers: ReturnType<TestClient["request"]>[] = [];
      setTimeout(() => drained.drain(), round % 7);
      while (!client.gone) {
        for (let i = 0; i < 5 && client.capacity > 0; i++) answers.push(client.request("/"));
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      for (const { status, reset, processed } of await Promise.all(answers)) {
        const outcome = reset === null ? `answered ${status}` : `reset, processed: ${processed}`;
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    }
    drained.stop();
    expect(outcomes.get("answered 200")).toBeGreaterThan(40);
    expect(new Set(outcomes.keys()).difference(new Set(["answered 200", "reset, processed: false"]))).toEqual(
      new Set(),
    );
  });
});

const NODE_SERVER = `
  const http2 = require("node:http2");
  const server = http2.createServer({ settings: { maxConcurrentStreams: 50, initialWindowSize: 20000 } });
  server.on("stream", (stream, headers) => {
    const path = headers[":path"];
    stream.on("error", () => {});
    if (path === "/echo") {
      stream.respond({ ":status": 200 }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-done": "yes" }));
      stream.pipe(stream);
    } else if (path === "/count") {
      let bytes = 0;
      stream.on("data", (chunk) => bytes += chunk.length);
      stream.on("end", () => { stream.respond({ ":status": 200, "x-bytes": bytes }); stream.end(); });
    } else if (path.startsWith("/bytes/")) {
      stream.respond({ ":status": 200 });
      stream.end(Buffer.alloc(Number(path.slice(7))));
    } else if (path === "/refuse") {
      stream.close(7);
    } else if (path === "/break") {
      stream.respond({ ":status": 200 });
      stream.write("part");
      // close() would end it as if it were whole.
      setTimeout(() => stream.destroy(new Error("broken")), 20);
    } else if (path === "/early") {
      stream.respond({ ":status": 413 });
      stream.end("no");
    } else if (path === "/goaway") {
      stream.session.goaway(0, stream.id);
      setTimeout(() => { stream.respond({ ":status": 200 }); stream.end("last"); }, 20);
    } else {
      stream.additionalHeaders({ ":status": 103, link: "</a>" });
      stream.respond({ ":status": 200, "content-type": "text/plain", "set-cookie": ["a=1", "b=2"] });
      stream.end("hello");
    }
  });
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));`;

describe("Http2ClientConnection calls Node.js", () => {
  let port: number;
  let client: TestClient;

  beforeAll(async () => {
    ({ port } = await startNode(NODE_SERVER));
    client = await TestClient.connected(port);
  });

  test("an answer, after a 103", async () => {
    expect(await client.request("/", { headers: ["x", "y"] })).toMatchObject({
      status: 200,
      bytes: 5,
      reset: null,
    });
    expect(client.capacity).toBe(50);
  });

  test("50 at a time, 2,000 in all", async () => {
    for (let round = 0; round < 40; round++) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => client.request("/bytes/5000")));
      expect(answers.filter(({ bytes, reset }) => bytes === 5_000 && reset === null)).toHaveLength(50);
    }
  }, 30_000);

  test("an upload that the peer credits as it likes", async () => {
    const answer = await client.request("/count", { method: "POST", bytes: 20 * MIB });
    expect(answer.headers.join()).toContain(`x-bytes,${20 * MIB}`);
  }, 30_000);

  test("both ways at once, with trailers", async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => client.request("/echo", { method: "POST", bytes: MIB })),
    );
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 200, bytes: MIB, trailers: ["x-done", "yes"], reset: null });
    }
  }, 30_000);

  test("a large download", async () => {
    expect(await client.request(`/bytes/${30 * MIB}`)).toMatchObject({ bytes: 30 * MIB, reset: null });
  }, 30_000);

  test("a stream that is refused, one that breaks off, one that is answered early: each as it is", async () => {
    expect(await client.request("/refuse")).toMatchObject({ reset: "refused", processed: false });
    expect(await client.request("/break")).toMatchObject({
      status: 200,
      bytes: 4,
      reset: "closed",
      processed: true,
    });
    expect(await client.request("/early", { method: "POST", bytes: 10 * MIB })).toMatchObject({
      status: 413,
      bytes: 2,
      reset: null,
    });
    expect(await client.request("/")).toMatchObject({ status: 200, reset: null });
    expect(client.gone).toBeFalse();
  });

  test("GOAWAY: what was accepted ends well, and the connection is not used again", async () => {
    const last = await TestClient.connected(port);
    expect(await last.request("/goaway")).toMatchObject({ status: 200, bytes: 4, reset: null });
    expect([last.gone, last.capacity]).toEqual([true, 0]);
  });
});
