import { describe, expect, test } from "bun:test";
import { formatTable, printable, renderData } from "../../../src/cli/output.ts";

describe("formatTable()", () => {
  test("pads columns, aligns numbers and leaves no trailing blanks", () => {
    const table = formatTable(
      [{ title: "NAME" }, { title: "REQUESTS", align: "right" }, { title: "MTLS" }],
      [["tutorial/customer", "7", "yes"], ["a", "12000", ""]],
    );
    expect(table).toBe(
      "NAME               REQUESTS  MTLS\n" +
        "tutorial/customer         7  yes\n" +
        "a                     12000",
    );
  });

  test("is the heading alone without rows", () => {
    expect(formatTable([{ title: "A" }, { title: "B" }], [])).toBe("A  B");
  });

  test("keeps control characters away from the terminal", () => {
    expect(formatTable([{ title: "A" }], [["x\x1b[31m\ny"]])).toBe("A\nx\ufffd[31m\ufffdy");
  });
});

describe("renderData()", () => {
  const data = { name: "a: b", list: [1, 2] };

  test("writes JSON", async () => {
    expect(JSON.parse(await renderData("json", data, () => "x"))).toEqual(data);
  });

  test("writes YAML", async () => {
    expect(await renderData("yaml", data, () => "x")).toBe('name: "a: b"\nlist:\n  - 1\n  - 2');
  });

  test("writes the table", async () => {
    expect(await renderData("table", data, () => "x")).toBe("x");
  });
});

test("printable() replaces bidirectional overrides", () => {
  expect(printable("a\u202eb")).toBe("a\ufffdb");
});
