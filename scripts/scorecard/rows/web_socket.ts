/** Row 16: WebSocket. No tunnel without 101, no connection poisoned, and a drain lets it go on. */
import { until } from "../../../tests/integration/bowline.ts";
import { exchange } from "../../../tests/integration/clients.ts";
import { KeepAliveClient, Tally } from "../../../tests/integration/keep_alive_client.ts";
import {
  answerTo,
  askUpgrade,
  earlyUpgrade,
  startChat,
  webSocket,
} from "../../../tests/integration/tunnel_peers.ts";
import { type Check, exactly, noneFailed, type Row } from "../row.ts";
import { Stand, STORE_PORTS } from "../stand.ts";

const ROUNDS = { full: 500, small: 20 };
/** Requests to the same port after each kind of upgrade: they take the connections that it used. */
const FOLLOWING = 5;
const IDLE_MS = { full: 30_000, small: 1_000 };

export const webSockets: Row = {
  name: "16",
  what: "WebSocket: refused, early bytes, idle, close, drain",
  async run(size) {
    const stand = await Stand.up();
    const chat = startChat(stand.storeAddress(), STORE_PORTS.ws);
    try {
      const probe = stand.probe();
      const idle = idles(stand, IDLE_MS[size]);
      const checks = [...await refuses(stand, ROUNDS[size]), ...await idle];
      // Nobody else serves while the only workload's sidecar drains.
      checks.push(noneFailed("probe", await probe.stop()));
      return [...checks, ...await drains(stand)];
    } finally {
      chat.stop(true);
      await stand.down();
    }
  },
};

async function refuses(stand: Stand, rounds: number): Promise<Check[]> {
  const target = stand.target("ws");
  const following = new Tally();
  const client = new KeepAliveClient(target);
  let refused = 0;
  let early = 0;
  let smuggled = 0;
  for (let round = 0; round < rounds; round++) {
    const { text, closed } = await exchange(
      target.address,
      target.port,
      earlyUpgrade(target.host, "/refused"),
    );
    if (closed && text.startsWith("HTTP/1.1 403 ")) early++;
    smuggled += (text.match(/HTTP\/1\.1/g)?.length ?? 0) - 1;
    if (round % 10 === 0 && (await askUpgrade(target, "/refused")).body === "not you") refused++;
    for (let i = 0; i < FOLLOWING; i++) {
      const outcome = await client.get("/refused");
      const whole = outcome === 403 && client.body === "not you";
      following.add(whole ? 200 : outcome === 403 ? "broken" : outcome);
    }
  }
  client.close();
  return [
    exactly("upgrades refused: an ordinary answer", refused, Math.ceil(rounds / 10)),
    exactly("bytes before 101, of an upgrade that is refused: 403 and closed", early, rounds),
    exactly("… answers to what was in them", smuggled, 0),
    noneFailed("ordinary requests after each of them", following),
  ];
}

async function idles(stand: Stand, ms: number): Promise<Check[]> {
  const socket = await webSocket(stand.target("ws"), "/chat");
  await answerTo(socket, "before");
  await Bun.sleep(ms);
  const after = await answerTo(socket, "after");
  const closed = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
  socket.send("good-bye");
  const { code, reason } = await closed;
  return [
    exactly(`an idle tunnel still carries after ${ms / 1_000} s`, after, "after"),
    exactly("the server's close code and reason", `${code} ${reason}`, "4000 as you wish"),
  ];
}

/** A tunnel goes on in the drain of the sidecar that it leads to, which ends with it. */
async function drains(stand: Stand): Promise<Check[]> {
  const store = stand.stores[0] as typeof stand.client;
  const socket = await webSocket(stand.target("ws"), "/chat");
  await answerTo(socket, "before");
  store.child.kill("SIGTERM");
  await until("it drains", async () => !await stand.mesh.isReady(11));
  const answers: unknown[] = [];
  for (let i = 0; i < 10; i++) {
    answers.push(await answerTo(socket, `message ${i}`));
    await Bun.sleep(100);
  }
  const closed = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
  socket.close(1000);
  await closed;
  const code = await store.endsByItself();
  await stand.restartStore(0);
  await stand.mesh.untilSynced(2);
  return [
    exactly("messages answered while the sidecar drains, of 10", answers.length, 10),
    exactly("exit code once the tunnel is closed", code, 0),
  ];
}
