import { afterAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freshDirectory, removeDirectories } from "./test_citadel.ts";

afterAll(removeDirectories);

test("x509 loads from source and in a bundle, at once and when asked for, with its polyfill first", async () => {
  const citadel = JSON.stringify(join(import.meta.dirname, "../../../src/citadel/citadel.ts"));
  const entries = {
    static: `import { Citadel } from ${citadel}; console.log(typeof Citadel);`,
    lazy: `const { Citadel } = await import(${citadel}); console.log(typeof Citadel);`,
  };
  for (const [name, text] of Object.entries(entries)) {
    const directory = freshDirectory();
    const entry = join(directory, `${name}.ts`);
    writeFileSync(entry, text);
    const built = await Bun.build({ entrypoints: [entry], outdir: join(directory, "out"), target: "bun" });
    expect(built.success).toBe(true);
    for (const program of [entry, join(directory, `out/${name}.js`)]) {
      const { stdout, stderr } = Bun.spawnSync([process.execPath, program]);
      expect(`${stdout}${stderr}`).toBe("function\n");
    }
  }
});
