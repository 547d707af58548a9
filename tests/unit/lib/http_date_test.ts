import { expect, test } from "bun:test";
import { httpDate } from "../../../src/lib/http_date.ts";

test("httpDate() writes a moment as RFC 9110 §5.6.7 has it, to the second", () => {
  const example = Date.UTC(1994, 10, 6, 8, 49, 37);
  expect(httpDate(example)).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
  expect(httpDate(example + 999)).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
  expect(httpDate(example + 1_000)).toBe("Sun, 06 Nov 1994 08:49:38 GMT");
  // A clock may be set back.
  expect(httpDate(example)).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
});
