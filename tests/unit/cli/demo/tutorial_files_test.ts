import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { CHAPTERS, DEFAULT_CHAPTER } from "../../../../src/cli/demo/chapters.ts";
import { CHAPTER_FILES, type Files, MESH_FILES } from "../../../../src/cli/demo/tutorial_files.ts";
import { loadConfig } from "../../../../src/config/loader.ts";

const TUTORIAL = join(import.meta.dir, "../../../../config/tutorial");

function yamlFiles(directory: string): Files {
  const names = readdirSync(directory).filter((name) => name.endsWith(".yaml"));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(directory, name), "utf8")]));
}

describe("tutorial_files", () => {
  test("MESH_FILES are the files of config/tutorial/mesh", () => {
    expect(MESH_FILES).toEqual(yamlFiles(join(TUTORIAL, "mesh")));
  });

  test("CHAPTER_FILES has every directory of config/tutorial", () => {
    const directories = readdirSync(TUTORIAL).filter((name) => statSync(join(TUTORIAL, name)).isDirectory());
    const chapters = directories.filter((name) => name !== "mesh");
    expect(CHAPTERS.map(({ name }) => name).toSorted()).toEqual(chapters.toSorted() as never);
    expect(chapters).toContain(DEFAULT_CHAPTER);
  });

  test.each(CHAPTERS.map(({ name }) => name))(
    "%s is the same on disk and built in, whole, and valid",
    (name) => {
      const files = CHAPTER_FILES[name];
      expect(files).toEqual(yamlFiles(join(TUTORIAL, name)));
      // A directory of its own for `validate` and `explain`, without a copy of the mesh in it.
      expect(readlinkSync(join(TUTORIAL, name, "mesh"))).toBe("../mesh");
      expect(existsSync(join(TUTORIAL, name, "mesh/services.yaml"))).toBeTrue();
      const sources = Object.entries({ ...MESH_FILES, ...files }).map(([file, text]) => ({ file, text }));
      expect(loadConfig(sources).findings).toEqual([]);
    },
  );
});
