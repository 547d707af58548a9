import { expect, test } from "bun:test";
import type { PrivateFiles } from "../../../src/runtime/private_files.ts";
import { IdentitySaver, type SidecarIdentity } from "../../../src/sidecar/identity_state.ts";

test("IdentitySaver.save() writes one identity after the other, whatever becomes of the one before", async () => {
  const writes: { readonly chain: string; readonly done: PromiseWithResolvers<void> }[] = [];
  const files = {
    replace(_path: string, content: Uint8Array) {
      const { chain } = JSON.parse(new TextDecoder().decode(content)) as SidecarIdentity;
      const done = Promise.withResolvers<void>();
      writes.push({ chain, done });
      return done.promise;
    },
  } as unknown as PrivateFiles;
  const saver = new IdentitySaver("/data", files);
  const saves = ["first", "second", "third"].map((chain) => saver.save({ chain } as SidecarIdentity));
  const settled = Promise.allSettled(saves);
  const begun = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return writes.map(({ chain }) => chain);
  };
  expect(await begun()).toEqual(["first"]);
  writes[0]?.done.reject(new Error("The disk is full"));
  expect(await begun()).toEqual(["first", "second"]);
  writes[1]?.done.resolve();
  expect(await begun()).toEqual(["first", "second", "third"]);
  writes[2]?.done.resolve();
  expect((await settled).map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
});
