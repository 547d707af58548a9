import { describe, expect, test } from "bun:test";
import { ConfigStore } from "../../../src/config/config_store.ts";
import { ManualClock } from "../../../src/lib/clock.ts";
import { FileReadError } from "../../../src/runtime/read_files.ts";
import { service } from "./config_texts.ts";

const good = (name: string) => [{ file: "a.yaml", text: service(name) }];
const BAD = [{ file: "a.yaml", text: "kind: Servce" }];

describe("ConfigStore", () => {
  test("apply() numbers generations from 1 and notes the time", () => {
    const clock = new ManualClock(1_000);
    const store = new ConfigStore(clock);
    expect(store.current).toBeNull();
    expect(store.apply(good("a"))).toMatchObject({
      accepted: true,
      generation: { number: 1, loadedAtMs: 1_000 },
    });
    clock.advance(5);
    store.apply(good("b"));
    expect(store.current).toMatchObject({
      number: 2,
      loadedAtMs: 1_005,
      resources: { services: [{ name: "b" }] },
    });
  });

  test("apply() keeps the last good generation after a bad edit, and reports it until the next good one", () => {
    const clock = new ManualClock();
    const store = new ConfigStore(clock);
    store.apply(good("a"));
    clock.advance(7);
    expect(store.apply(BAD)).toMatchObject({
      accepted: false,
      rejection: { atMs: 7, findings: [{ code: "BOW0006" }] },
    });
    expect(store.current).toMatchObject({ number: 1, resources: { services: [{ name: "a" }] } });
    expect(store.rejection?.findings).toHaveLength(1);
    store.apply(good("b"));
    expect(store.current?.number).toBe(2);
    expect(store.rejection).toBeNull();
  });

  test("apply() has nothing current when the first load is bad", () => {
    const store = new ConfigStore(new ManualClock());
    store.apply(BAD);
    expect(store.current).toBeNull();
    expect(store.rejection).not.toBeNull();
  });

  test("readFailed() is the same as a bad edit", () => {
    const store = new ConfigStore(new ManualClock());
    store.apply(good("a"));
    store.readFailed(
      new FileReadError("permission-denied", { file: "x.yaml", path: "d/x.yaml" }, "permission denied"),
    );
    expect(store.current?.number).toBe(1);
    expect(store.rejection?.findings).toMatchObject([
      {
        code: "BOW0010",
        file: "x.yaml",
        line: 1,
        column: 1,
        message: "could not be read: permission denied",
      },
    ]);
  });

  test("readFailed() names the directory itself as it was given", () => {
    const store = new ConfigStore(new ManualClock());
    store.readFailed(new FileReadError("not-found", { file: "", path: "/etc/bowlin" }, "it is not there"));
    expect(store.rejection?.findings).toMatchObject([{
      file: "/etc/bowlin",
      message: "could not be read: it is not there",
    }]);
  });

  test("keepRejection() keeps saying why the files are refused after a restored copy of them serves", () => {
    const store = new ConfigStore(new ManualClock());
    store.apply(BAD);
    const { rejection } = store;
    store.apply(good("a"));
    if (rejection !== null) store.keepRejection(rejection);
    expect(store.current?.number).toBe(1);
    expect(store.rejection?.findings).toMatchObject([{ code: "BOW0006" }]);
  });

  test("onGeneration() tells of good generations alone, until it is ended", () => {
    const store = new ConfigStore(new ManualClock());
    const seen: number[] = [];
    const end = store.onGeneration(({ number }) => seen.push(number));
    store.apply(good("a"));
    store.apply(BAD);
    store.apply(good("b"));
    end();
    store.apply(good("c"));
    expect(seen).toEqual([1, 2]);
  });

  test("apply() with lenient lets unimplemented kinds pass as warnings", () => {
    const store = new ConfigStore(new ManualClock(), { lenient: true });
    const text = "apiVersion: networking.istio.io/v1\nkind: Telemetry\nmetadata: {name: g}\n";
    expect(store.apply([{ file: "g.yaml", text }]).accepted).toBe(true);
    expect(store.current?.findings).toMatchObject([{ code: "BOW0007", severity: "warning" }]);
  });

  test("apply() keeps the very resources of files that are as they were", () => {
    const store = new ConfigStore(new ManualClock());
    const file = (name: string, text: string) => ({ file: `${name}.yaml`, text });
    store.apply([file("a", service("a")), file("b", service("b"))]);
    const before = store.current?.resources.services;
    store.apply([file("b", service("b")), file("a", service("a") + "\n# edited\n")]);
    const after = store.current?.resources.services;
    expect(after?.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(after?.[0]).not.toBe(before?.[0] as never);
    expect(after?.[1]).toBe(before?.[1] as never);
  });

  test("apply() finds a second definition in a file that it did not read anew", () => {
    const store = new ConfigStore(new ManualClock());
    store.apply([{ file: "a.yaml", text: service("a") }, { file: "b.yaml", text: service("b") }]);
    const twice = store.apply([{ file: "a.yaml", text: service("b") }, {
      file: "b.yaml",
      text: service("b"),
    }]);
    expect(twice).toMatchObject({ accepted: false, rejection: { findings: [{ file: "b.yaml" }] } });
  });
});
