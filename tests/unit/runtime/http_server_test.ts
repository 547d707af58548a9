import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { makeTemporaryDirectory, removeDirectory } from "../../../src/runtime/files.ts";
import { API_BODY_BYTES_MAX, type HttpServer, serveHttp } from "../../../src/runtime/http_server.ts";

const LOOPBACK = { hostname: "127.0.0.1", port: 0 };
const hello = () => new Response("hello");

let directory: string;
let servers: HttpServer[];
beforeEach(async () => {
  directory = await makeTemporaryDirectory("bowline-http-test");
  servers = [];
});
afterEach(async () => {
  for (const server of servers) await server.stop();
  await removeDirectory(directory);
});

async function serve(...args: Parameters<typeof serveHttp>): Promise<HttpServer> {
  const server = await serveHttp(...args);
  servers.push(server);
  return server;
}

describe("serveHttp()", () => {
  test("answers on a free port, and no more once stopped", async () => {
    const server = await serve(LOOPBACK, (request) => new Response(new URL(request.url).pathname));
    const url = `http://127.0.0.1:${server.port}/a`;
    expect(await (await fetch(url)).text()).toBe("/a");
    await server.stop();
    expect(fetch(url)).rejects.toThrow();
  });

  test("closes a connection over TCP on which nothing moves any more", async () => {
    const { port } = await serve(LOOPBACK, hello, 1);
    const heard = await new Promise<string>((resolve) => {
      const socket = connect(
        { host: "127.0.0.1", port },
        () => socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
      );
      let heard = "";
      socket.on("data", (chunk: Buffer) => heard += chunk.toString());
      socket.on("close", () => resolve(heard));
    });
    expect(heard).toEndWith("\r\n\r\nhello");
  });

  test("answers on a Unix socket that is the owner's alone, and removes it when stopped", async () => {
    const unixPath = join(directory, "admin.sock");
    const server = await serve({ unixPath }, hello);
    expect(await (await fetch("http://admin/", { unix: unixPath })).text()).toBe("hello");
    expect(statSync(unixPath).mode & 0o777).toBe(0o600);
    await server.stop();
    expect(existsSync(unixPath)).toBe(false);
  });

  test("refuses a busy port", async () => {
    const { port } = await serve(LOOPBACK, hello);
    expect(serveHttp({ ...LOOPBACK, port }, hello)).rejects.toMatchObject({
      name: "ListenError",
      code: "address-in-use",
    });
  });

  test("refuses an address that the machine does not have", () => {
    expect(serveHttp({ hostname: "192.0.2.1", port: 0 }, hello)).rejects.toMatchObject({
      code: "address-not-available",
    });
  });

  test("leaves a Unix socket to the process that answers on it", async () => {
    const unixPath = join(directory, "admin.sock");
    await serve({ unixPath }, hello);
    expect(serveHttp({ unixPath }, hello)).rejects.toMatchObject({ code: "address-in-use" });
    expect(await (await fetch("http://admin/", { unix: unixPath })).text()).toBe("hello");
  });

  test("takes over a Unix socket that a killed process left behind", async () => {
    const unixPath = join(directory, "admin.sock");
    const script = `Bun.serve({ unix: ${JSON.stringify(unixPath)}, fetch: () => new Response("") });
      process.kill(process.pid, "SIGKILL");`;
    await Bun.spawn([process.execPath, "-e", script]).exited;
    expect(existsSync(unixPath)).toBe(true);
    await serve({ unixPath }, hello);
    expect(await (await fetch("http://admin/", { unix: unixPath })).text()).toBe("hello");
  });

  test("never removes what is not a socket", async () => {
    const unixPath = join(directory, "precious");
    writeFileSync(unixPath, "data");
    expect(serveHttp({ unixPath }, hello)).rejects.toMatchObject({ name: "ListenError" });
    expect(readFileSync(unixPath, "utf8")).toBe("data");
  });

  test("hides what a handler threw", async () => {
    const { port } = await serve(LOOPBACK, () => {
      throw new Error("secret");
    });
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({ error: { code: "internal", message: "Internal error" } });
  });

  test("takes a body of the limit and refuses one byte more", async () => {
    const { port } = await serve(
      LOOPBACK,
      async (request) => new Response(`${(await request.text()).length}`),
    );
    const post = (bytes: number) =>
      fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: new Uint8Array(bytes) });
    expect(await (await post(API_BODY_BYTES_MAX)).text()).toBe(String(API_BODY_BYTES_MAX));
    expect((await post(API_BODY_BYTES_MAX + 1)).status).toBe(413);
  });
});
