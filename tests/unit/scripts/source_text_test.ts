import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { lineAt, splitSource } from "../../../scripts/source_text.ts";

const squeeze = (text: string) => text.replace(/\s+/g, " ").trim();

describe("splitSource()", () => {
  test("blanks strings and comments but keeps code", () => {
    const { code, comments } = splitSource(`const a = "x // y"; // why\n/* z */ b('it\\'s');`);
    expect(squeeze(code)).toBe("const a = ; b( );");
    expect(squeeze(comments)).toBe("// why /* z */");
  });

  test("keeps the code inside of templates, nested ones too", () => {
    const { code } = splitSource("f(`a ${b({ c: `d ${e}` })} f`, g);");
    expect(squeeze(code)).toBe("f( b({ c: e }) , g);");
  });

  test("takes a regular expression with quotes and slashes in it as one", () => {
    const { code } = splitSource(`x.replace(/["'/]/g, y); const z = a / b / c;`);
    expect(squeeze(code)).toBe("x.replace( g, y); const z = a / b / c;");
  });

  test("keeps the length and the lines of any text", () => {
    fc.assert(fc.property(
      fc.array(
        fc.constantFrom("a", "`", "${", "}", "{", '"', "'", "/", "*", "//", "\n", "\\", "[", "]", " "),
      ),
      (pieces) => {
        const text = pieces.join("");
        for (const view of Object.values(splitSource(text))) {
          expect(view.length).toBe(text.length);
          expect(view.split("\n").length).toBe(text.split("\n").length);
        }
      },
    ));
  });
});

test("lineAt() counts from 1", () => {
  expect(lineAt("a\nb\nc", 0)).toBe(1);
  expect(lineAt("a\nb\nc", 2)).toBe(2);
  expect(lineAt("a\nb\nc", 4)).toBe(3);
});
