import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { normalPath } from "../../../../src/proxy/route/normal_path.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 5_000);

/** What is asked for, and the form that it has. */
const NORMAL: readonly (readonly [path: string, normal: string])[] = [
  ["", ""],
  ["*", "*"],
  ["/", "/"],
  ["/a/b.c/d", "/a/b.c/d"],
  ["/.well-known/acme", "/.well-known/acme"],
  ["/..a/...", "/..a/..."],
  // No normalisation (CVE-2019-9901).
  ["/info/../admin", "/admin"],
  ["/info/%2e%2e/admin", "/admin"],
  ["/info/%2E./admin", "/admin"],
  ["/info/./admin", "/info/admin"],
  ["/../../admin", "/admin"],
  ["/a/..", "/"],
  ["/a/b/..", "/a/"],
  ["/a/.", "/a/"],
  ["/a/b/../../c", "/c"],
  // Slashes and backslashes (CVE-2021-31920, CVE-2021-29492).
  ["//admin", "/admin"],
  ["/a///b//", "/a/b/"],
  ["/public\\..\\admin", "/admin"],
  ["\\admin", "/admin"],
  ["/a//../b", "/b"],
  // Escapes.
  ["/%61dmin", "/admin"],
  ["/%41%7a%30%2D%5f%7E", "/Az0-_~"],
  ["/caf%c3%a9", "/caf%C3%A9"],
  ["/a%20b%3fc%23d%3b%26", "/a%20b%3Fc%23d%3B%26"],
  // Unescaped once, never twice.
  ["/%252e%252e/%2561dmin", "/%252e%252e/%2561dmin"],
  ["/%2525", "/%2525"],
  // Parameters stay: a path with them is another one than without.
  ["/admin;a=b", "/admin;a=b"],
  ["/adm;in", "/adm;in"],
  ["/a;v=1/b", "/a;v=1/b"],
  ["/a;v=../b", "/a;v=../b"],
  ["/;jsessionid=1", "/;jsessionid=1"],
  ["/shop/;jsessionid=1?x", "/shop/;jsessionid=1?x"],
  // The query is the application's (CVE-2020-8595 is about what comes before it).
  ["/admin?", "/admin?"],
  ["/admin?x", "/admin?x"],
  ["/a/%2e%2e/b?c=../%2f%00;//\\%zz", "/b?c=../%2f%00;//\\%zz"],
  ["/a?/../b", "/a?/../b"],
  ["/?%", "/?%"],
];

const ESCAPE = "path_normalization_failed{invalid_escape}";
const ESCAPED_SLASH = "path_normalization_failed{escaped_slash}";
const CONTROL = "path_normalization_failed{control_character}";
const DOT_PARAMETERS = "path_normalization_failed{dot_parameters}";

/** What no form would make mean the same to every server. */
const REFUSED: readonly (readonly [path: string, details: string])[] = [
  ["/public%2f..%2fadmin", ESCAPED_SLASH],
  ["/public%2F..%2Fadmin", ESCAPED_SLASH],
  ["/public%5c..%5cadmin", ESCAPED_SLASH],
  ["/public%5C..%5Cadmin", ESCAPED_SLASH],
  ["/%2fadmin", ESCAPED_SLASH],
  ["/admin%2fusers", ESCAPED_SLASH],
  ["/admin%00", CONTROL],
  ["/admin%0d%0aX:%20y", CONTROL],
  ["/admin%1f", CONTROL],
  ["/admin%7F", CONTROL],
  // Path parameters (CVE-2026-73551).
  ["/public/..;/admin", DOT_PARAMETERS],
  ["/public/..;x=1/admin", DOT_PARAMETERS],
  ["/public/%2e%2e;/admin", DOT_PARAMETERS],
  ["/public/..%3b/admin", DOT_PARAMETERS],
  ["/public/..;", DOT_PARAMETERS],
  ["/public\\..;\\admin", DOT_PARAMETERS],
  ["/.;/admin", DOT_PARAMETERS],
  ["/;/admin", DOT_PARAMETERS],
  ["/;x=1/admin", DOT_PARAMETERS],
  ["/;/../admin", DOT_PARAMETERS],
  ["/a%", ESCAPE],
  ["/a%2", ESCAPE],
  ["/a%zz", ESCAPE],
  ["/%u002e%u002e/admin", ESCAPE],
  ["/%%32e", ESCAPE],
  ["/a%2?b", ESCAPE],
];

const piece = fc.constantFrom(
  ...["/", "//", ".", "..", "\\", ";", "%2e", "%2E", "%2f", "%5c", "%00", "%3b", "%3B", "%25", "%", "%c3%a9"],
  ...["a", "b", "%61", "?", "=", "admin", "2", "e", "/../", "/./", "..;"],
);
const path = fc.oneof(
  fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join("")}`),
  fc.string().map((text) => `/${text}`),
);

/** The path as a server would read it that takes everything for what it may mean. */
function laxSegments(normal: string): string[] {
  const [beforeQuery = ""] = normal.split("?", 1);
  const once = beforeQuery.replace(
    /%([0-9A-F]{2})/g,
    (_, digits) => String.fromCharCode(parseInt(digits, 16)),
  );
  return once.split(/[/\\]/).map((segment) => segment.split(";", 1)[0] as string);
}

describe("normalPath()", () => {
  for (const [asked, normal] of NORMAL) {
    test(`normalPath() of ${JSON.stringify(asked)} is ${JSON.stringify(normal)}`, () => {
      expect(normalPath(asked)).toBe(normal);
    });
  }

  for (const [asked, details] of REFUSED) {
    test(`normalPath() refuses ${JSON.stringify(asked)}`, () => {
      expect(normalPath(asked)).toMatchObject({ status: 400, details });
    });
  }

  test("normalPath() is its own normal form, and keeps the query", () => {
    fc.assert(
      fc.property(path, (asked) => {
        const normal = normalPath(asked);
        if (typeof normal !== "string") return;
        expect(normalPath(normal)).toBe(normal);
        const query = (text: string) => text.includes("?") ? text.slice(text.indexOf("?")) : "";
        expect(query(normal)).toBe(query(asked));
      }),
      { numRuns: RUNS },
    );
  });

  test("normalPath() leaves nothing that a lax server would walk by", () => {
    fc.assert(
      fc.property(path, (asked) => {
        const normal = normalPath(asked);
        if (typeof normal !== "string") return;
        expect(normal[0]).toBe("/");
        const segments = laxSegments(normal);
        expect(segments).not.toContain(".");
        expect(segments).not.toContain("..");
        // Empty ones: before the first slash, and behind the last one.
        expect(segments.slice(1, -1)).not.toContain("");
      }),
      { numRuns: RUNS },
    );
  });

  test("normalPath() keeps what a plain path means", () => {
    const segment = fc.stringMatching(/^[A-Za-z0-9_~!$&'()*+,=:@-]{1,8}$/);
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1 }), (segments) => {
        const plain = `/${segments.join("/")}`;
        expect(normalPath(plain)).toBe(plain);
        const escaped = plain.replace(/[A-Za-z0-9_~-]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
        expect(normalPath(escaped)).toBe(plain);
      }),
      { numRuns: RUNS },
    );
  });
});

describe("normalPath() in another form", () => {
  test.each(
    [
      ["BASE", "//a//b/../%2e/%61\\c", "//a//a/c"],
      ["BASE", "/a//../b?//", "/a/b?//"],
      ["DECODE_AND_MERGE_SLASHES", "/public%2f..%2Fadmin", "/admin"],
      ["DECODE_AND_MERGE_SLASHES", "/public%5c..%5Cadmin?%2f", "/admin?%2f"],
      ["DECODE_AND_MERGE_SLASHES", "/a%252fb", "/a%252fb"],
      ["NONE", "/%61//b/./c/../d?x", "/%61//b/./c/../d?x"],
    ] as const,
  )("%s makes of %j %j", (form, path, normal) => {
    expect(normalPath(path, form)).toBe(normal);
  });

  test.each(
    [
      ["BASE", "/a%2fb"],
      ["BASE", "/a/..;/b"],
      ["NONE", "/a%2fb"],
      ["NONE", "/a/..;/b"],
      ["NONE", "/a/%0a"],
      ["NONE", "/a//../b"],
      ["NONE", "/a/\\%2e%2e/b"],
      ["DECODE_AND_MERGE_SLASHES", "/a%2f..;%2fb"],
    ] as const,
  )("%s refuses %j", (form, path) => {
    expect(normalPath(path, form)).toMatchObject({ status: 400 });
  });
});
