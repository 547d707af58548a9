import { describe, expect, test } from "bun:test";
import { SharedScrape } from "../../../src/sidecar/shared_scrape.ts";

const many = (scrape: SharedScrape) => Promise.all(Array.from({ length: 100 }, () => scrape.text()));

describe("SharedScrape", () => {
  test("text() writes once for all who ask at once, and anew for whoever asks later", async () => {
    let written = 0;
    const scrape = new SharedScrape(() => Promise.resolve(String(++written)));
    for (const text of ["1", "2"]) expect(new Set(await many(scrape))).toEqual(new Set([text]));
  });

  test("text() begins none while one is written: who asks meanwhile shares the next", async () => {
    const writing: ((text: string) => void)[] = [];
    const scrape = new SharedScrape(() => new Promise((resolve) => writing.push(resolve)));
    const first = scrape.text();
    await Bun.sleep(0);
    const others = many(scrape);
    await Bun.sleep(0);
    expect(writing).toHaveLength(1);
    writing[0]?.("first");
    expect(await first).toBe("first");
    while (writing.length < 2) await Bun.sleep(0);
    writing[1]?.("second");
    expect(new Set(await others)).toEqual(new Set(["second"]));
  });

  test("text() tells an error to those who asked, and to nobody after them", async () => {
    let fails = true;
    const scrape = new SharedScrape(() =>
      fails ? Promise.reject(new Error("gone")) : Promise.resolve("back")
    );
    const asked = await Promise.allSettled([scrape.text(), scrape.text()]);
    expect(asked.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    fails = false;
    expect(await scrape.text()).toBe("back");
  });
});
