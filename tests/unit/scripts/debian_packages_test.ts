import { expect, test } from "bun:test";
import { missingPackages } from "../../../scripts/debian_packages.ts";

test("missingPackages() names each package once, for the programs that are not there", () => {
  expect(missingPackages(() => true)).toEqual([]);
  expect(missingPackages((command) => !["nghttp", "h2load", "nginx"].includes(command)))
    .toEqual(["nghttp2-client", "nginx-light"]);
});
