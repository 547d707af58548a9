/** Which CA a control plane may come up with: none that would shut out who knows another one. */
import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { istioFiles, makeAuthority, writeFiles } from "./plugged_files.ts";
import { CART, newCsr, openCitadel, removeDirectories, START_MS, type TestCitadel } from "../test_citadel.ts";

afterAll(removeDirectories);

const DAY_MS = 86_400_000;

describe("Citadel.open()", () => {
  const letIn = async ({ citadel }: TestCitadel) => {
    const { token } = await citadel.createToken(CART);
    await citadel.enrol({ token, csr: await newCsr() });
  };
  const plug = async (...roots: readonly string[]) => {
    const root = await makeAuthority();
    return writeFiles(istioFiles(root, root.pem, root.pem + roots.join("")));
  };
  const shutOut = (open: Promise<TestCitadel>) =>
    open.then(() => "", (error: Error & { code: string }) => `${error.code} ${error.message}`);

  test("Citadel.open() takes a CA that is plugged in where nobody knows another one", async () => {
    const { dataDirectory } = await openCitadel();
    const pluggedDirectory = await plug();
    const { citadel } = await openCitadel({ pluggedDirectory, dataDirectory });
    expect((await citadel.trustedRoots()).length).toBe(1);
  });

  test("Citadel.open() refuses one that would shut out who knows the mesh's own root alone", async () => {
    const own = await openCitadel();
    const { dataDirectory, clock } = own;
    await letIn(own);
    const alone = await plug();
    expect(await shutOut(openCitadel({ dataDirectory, pluggedDirectory: alone }))).toStartWith(
      `ca_unusable The certificate authority in ${alone} cannot be used: shop/cart-v1 would be shut out, with ` +
        "certificates of the mesh's own root, which its roots do not hold",
    );
    const both = await plug(own.citadel.trust.roots);
    await openCitadel({ dataDirectory, pluggedDirectory: both });
    // Who has no certificate any more loses nothing.
    clock.advance(DAY_MS);
    await openCitadel({ dataDirectory, pluggedDirectory: alone, clock });
  });

  test("Citadel.enrol() uses up no token where the CA has expired, and nothing is issued", async () => {
    const root = await makeAuthority({ notAfterMs: START_MS + 60_000 });
    const pluggedDirectory = writeFiles(istioFiles(root, root.pem, root.pem));
    const { citadel, clock } = await openCitadel({ pluggedDirectory });
    const { token } = await citadel.createToken(CART);
    clock.advance(60_000);
    const refused = {
      code: "ca_expired",
      message: "The control plane cannot issue certificates at the moment",
    };
    await expect(citadel.enrol({ token, csr: await newCsr() })).rejects.toMatchObject(refused);
    await expect(citadel.issueOwn()).rejects.toMatchObject(refused);
    const ended = new Date(START_MS + 60_000).toISOString();
    await expect(citadel.createToken(CART)).rejects.toMatchObject({
      code: "ca_expired",
      detail:
        `A certificate of the CA expired at ${ended}; put one that is good into the directory of --ca, ` +
        "and start the control plane again",
    });
    expect(await citadel.tokens()).toHaveLength(1);
    expect(citadel.certificates().filter(({ kind }) => kind === "leaf")).toEqual([]);
  });

  test("Citadel.open() makes no root where workloads have certificates of another CA", async () => {
    const pluggedDirectory = await plug();
    const plugged = await openCitadel({ pluggedDirectory });
    const { dataDirectory, clock } = plugged;
    await letIn(plugged);
    expect(await shutOut(openCitadel({ dataDirectory }))).toMatch(
      /^ca_unusable .*authority\.pem cannot be used: shop\/cart-v1 would be shut out, with certificates of another CA; start with --ca/,
    );
    expect(readdirSync(join(dataDirectory, "ca"))).not.toContain("authority.pem");
    await openCitadel({ dataDirectory, pluggedDirectory });
    clock.advance(DAY_MS);
    await openCitadel({ dataDirectory, clock });
  });
});
