/**
 * The tutorial, chapter by chapter in one demo, each as its page says it: its rules are copied over those of the chapter
 * before, traffic is sent, and what came of it is counted. It has the demo's addresses: 127.0.0.9 to 127.0.0.22.
 */
import { beforeAll, describe, expect } from "bun:test";
import { copyFileSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterwards, Bowline, bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { curl } from "./clients.ts";
import { scrape, total } from "./scrape.ts";

const ENTRY = "http://127.0.0.10:8080/";
/** The program of version 2, past its sidecar. */
const V2_PROGRAM = "http://127.0.0.22:8080";
/** The sidecar that calls recommendation. */
const CALLER = "127.0.0.12";
const ANSWER = /^customer => preference => recommendation v[12] from '(recommendation-v[12])': \d+\n$/;

const CONCURRENCY = 16;
const START_MS = 20_000;
/** A split of chance is within so many standard deviations of what it should be: one run of 15,000 fails. */
const DEVIATIONS = 4;

/** Where the demo puts what it removes again. */
const temporary = mkdtempSync(join(tmpdir(), "bowline-it-"));
let demo: Bowline;
/** The demo's own directory. */
let directory: string;

endEverythingAfterwards();
afterwards(() => rmSync(temporary, { recursive: true, force: true }));

beforeAll(async () => {
  demo = new Bowline("demo", ["demo"], { env: { TMPDIR: temporary } });
  await demo.says("Ctrl-C");
  directory = /logs +(\S+)\/logs/.exec(demo.stderr)?.[1] as string;
}, START_MS);

/** Puts the chapter's rules in the place of those before, as `cp` does; they are with the proxies a moment later. */
async function open(chapter: string): Promise<void> {
  const loaded = loadings();
  const from = join(directory, "tutorial", chapter);
  for (const name of readdirSync(from)) {
    const to = join(directory, "config", name);
    copyFileSync(join(from, name), `${to}~`);
    renameSync(`${to}~`, to);
  }
  await until(`${chapter} is loaded`, () => loadings() > loaded);
}

function loadings(): number {
  return demo.stderr.split("Loaded the configuration").length;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  /** Workload at the end; null when it is no answer of the tutorial. */
  readonly from: string | null;
  readonly tookMs: number;
}

async function call(headers: Record<string, string> = {}): Promise<Answer> {
  const startMs = performance.now();
  const response = await fetch(ENTRY, { headers });
  const body = await response.text();
  const tookMs = performance.now() - startMs;
  return { status: response.status, body, from: ANSWER.exec(body)?.[1] ?? null, tookMs };
}

async function calls(count: number, concurrency = CONCURRENCY): Promise<Answer[]> {
  const answers: Answer[] = [];
  let started = 0;
  const worker = async () => {
    while (started++ < count) answers.push(await call());
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return answers;
}

function from(answers: readonly Answer[], workload: string): number {
  return answers.filter((answer) => answer.from === workload).length;
}

/** Expects `count` to be `share` of `all`, as far as chance allows. */
function expectShare(count: number, all: number, share: number): void {
  const slack = DEVIATIONS * Math.sqrt(all * share * (1 - share));
  expect(Math.abs(count - all * share)).toBeLessThanOrEqual(slack);
}

/** How many requests for recommendation a workload had, as the caller's sidecar counts. */
async function sentTo(workload: string): Promise<number> {
  return total(await scrape(CALLER), "istio_requests_total", { destination_workload: workload });
}

async function tellV2(manner: "behave" | "misbehave" | "slow"): Promise<void> {
  const response = await fetch(`${V2_PROGRAM}/${manner}`);
  expect([response.status, await response.text()]).toEqual([
    200,
    expect.stringContaining("'recommendation-v2'"),
  ]);
}

const byV1 = async () => (await call()).from === "recommendation-v1";
const byV2 = async () => (await call()).from === "recommendation-v2";

describe("chapters", () => {
  scenario("split-90-10, with which the demo begins: nine of ten to v1", async () => {
    expect(demo.stderr).toContain("chapter    split-90-10: nine of ten to version 1\n");
    const answers = await calls(1_000);
    expect(from(answers, "recommendation-v1") + from(answers, "recommendation-v2")).toBe(1_000);
    expectShare(from(answers, "recommendation-v1"), 1_000, 0.9);
  });

  scenario("all-to-v1: every answer comes from v1", async () => {
    await open("all-to-v1");
    // Of 200 requests 20 would go to v2.
    await until("nobody gets v2", async () => from(await calls(200), "recommendation-v1") === 200);
  });

  scenario("all-to-v2: every answer comes from v2", async () => {
    await open("all-to-v2");
    await until("v2 answers", byV2);
    expect(from(await calls(100), "recommendation-v2")).toBe(100);
  });

  scenario("user-agent: Safari gets v1, everybody else v2", async () => {
    await open("user-agent");
    const agent = { "user-agent": "Mozilla/5.0 Version/18.1 Safari/605.1.15" };
    await until("Safari gets v1", async () => (await call(agent)).from === "recommendation-v1");
    for (let i = 0; i < 20; i++) {
      expect((await call(agent)).from).toBe("recommendation-v1");
      expect((await call({ "user-agent": "Mozilla/5.0 Firefox/130.0" })).from).toBe("recommendation-v2");
    }
  });

  scenario("mirroring: v1 answers, and v2 gets as many", async () => {
    await open("mirroring");
    await until("v1 answers", byV1);
    const before = await Promise.all([sentTo("recommendation-v1"), sentTo("recommendation-v2")]);
    expect(from(await calls(100), "recommendation-v1")).toBe(100);
    // Copies end in their own time.
    await until("v2 had them all", async () => await sentTo("recommendation-v2") >= before[1] + 100);
    expect(await sentTo("recommendation-v1")).toBe(before[0] + 100);
  });

  scenario("split-50-50: half to each", async () => {
    await open("split-50-50");
    await until("v2 answers", byV2);
    const answers = await calls(600);
    expect(from(answers, "recommendation-v1") + from(answers, "recommendation-v2")).toBe(600);
    expectShare(from(answers, "recommendation-v1"), 600, 0.5);
  });

  scenario("load-balancing: v1 and v2 in turn", async () => {
    await open("load-balancing");
    // By chance, one of half a million rows of twenty alternates.
    await until("they alternate", async () => {
      const answers = await calls(20, 1);
      return answers.every(({ from }, i) => from !== null && (i === 0 || from !== answers[i - 1]?.from));
    });
  });

  scenario("retry: v2 fails, and no caller hears of it", async () => {
    await tellV2("misbehave");
    await until("callers hear of it", async () => (await call()).status === 503);
    await open("retry");
    // Without the rule, 50 of a 100 fail.
    await until("nobody hears of it", async () => from(await calls(100, 1), "recommendation-v1") === 100);
    await tellV2("behave");
    await until("v2 answers", byV2);
  });

  scenario("timeout: v2 takes three seconds, and its callers wait for one", async () => {
    await open("timeout");
    await tellV2("slow");
    await until("somebody has waited", async () => (await call()).status === 504);
    const answers = await calls(8, 8);
    await tellV2("behave");
    const late = answers.filter(({ status }) => status === 504);
    expect(late.length).toBeGreaterThan(0);
    expect(late.length + from(answers, "recommendation-v1")).toBe(8);
    for (const { body, tookMs } of late) {
      expect(body).toBe("customer => 504 preference => 504 upstream request timeout\n");
      expect(tookMs).toBeGreaterThanOrEqual(1_000);
    }
  });

  scenario("circuit-breaking: what is too much is refused at once", async () => {
    await open("circuit-breaking");
    await tellV2("slow");
    const overflow =
      "customer => 503 preference => 503 upstream connect error or disconnect/reset before headers. reset reason: overflow";
    let answers: Answer[] = [];
    await until("some are refused", async () => {
      answers = await calls(CONCURRENCY);
      // Who called before the rules were there is under those of the chapter before.
      const settled = answers.every(({ status }) => status === 200 || status === 503);
      return settled && answers.some(({ status }) => status === 503);
    });
    await tellV2("behave");
    const refused = answers.filter(({ status }) => status === 503);
    expect(new Set(refused.map(({ body }) => body.trim()))).toEqual(new Set([overflow]));
    const served = from(answers, "recommendation-v1") + from(answers, "recommendation-v2");
    expect(served).toBeGreaterThan(0);
    expect(served + refused.length).toBe(CONCURRENCY);
  });

  scenario("circuit-breaking: who fails once is not called, until its time is over", async () => {
    await tellV2("misbehave");
    await until("v2 fails", async () => (await call()).status === 503);
    const before = await sentTo("recommendation-v2");
    expect(from(await calls(30, 1), "recommendation-v1")).toBe(30);
    expect(await sentTo("recommendation-v2")).toBe(before);
    await tellV2("behave");
    await until("v2 is back", byV2);
  });

  scenario("abort: half of the requests fail with 503", async () => {
    await open("abort");
    const aborted = ({ body }: Answer) => body === "customer => 503 preference => 503 fault filter abort\n";
    await until("one is aborted", async () => aborted(await call()));
    const answers = await calls(600);
    expectShare(answers.filter(aborted).length, 600, 0.5);
    expect(answers.filter(({ status }) => status === 200).length + answers.filter(aborted).length).toBe(600);
  });

  scenario("delay: half of the requests wait for two seconds", async () => {
    await open("delay");
    let answers: Answer[] = [];
    await until("none is aborted", async () => {
      answers = await calls(100, 100);
      return answers.every(({ status }) => status === 200);
    });
    expect(from(answers, "recommendation-v1") + from(answers, "recommendation-v2")).toBe(100);
    expectShare(answers.filter(({ tookMs }) => tookMs >= 2_000).length, 100, 0.5);
  });

  scenario("egress: customer reaches hosts that are declared, and no others", async () => {
    const asCustomer = async (url: string) => {
      const { status, body } = await curl("--proxy", "http://127.0.0.11:15001", url);
      return [status, body.replace(/\d+\n/, "")];
    };
    const undeclared = "http://127.0.0.20:8080/";
    expect(await asCustomer(undeclared)).toEqual([200, "sunny from 'weather': "]);
    await open("egress");
    await until(
      "a host is declared",
      async () => (await asCustomer("http://weather.example.com/"))[0] === 200,
    );
    expect(await asCustomer("http://weather.example.com/")).toEqual([200, "sunny from 'weather': "]);
    expect(await asCustomer(undeclared)).toEqual([502, ""]);
    expect(await asCustomer("http://news.example.com/")).toEqual([502, ""]);
  });
});

scenario("demo CHAPTER --requests counts what comes of that chapter", async () => {
  expect(await demo.end("SIGINT")).toBe(0);
  const { code, stdout } = await bowline(["demo", "abort", "--requests", "400", "-o", "json"]);
  expect(code).toBe(1);
  const { requests, ok, errors, mtls } = JSON.parse(stdout);
  expect([requests, ok + errors, mtls]).toEqual([400, 400, true]);
  expectShare(errors, 400, 0.5);
});
