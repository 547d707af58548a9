/** A file of routing expectations: requests, and what `explain` should say of each. */
import * as v from "valibot";
import { isMap } from "../../lib/is_map.ts";
import type { Finding } from "../../config/finding.ts";
import type { Position } from "../../config/resource.ts";
import { fields, listOfSome, map, optional, type Schema } from "../../config/schema/fields.ts";
import { wrong } from "../../config/schema/problem.ts";
import { oneOf } from "../../config/schema/scalars.ts";
import { readSingleDocument } from "../../config/single_document.ts";
import { ACTIONS, type Explanation } from "../../proxy/explain/explanation.ts";
import type { SourceFile } from "../../runtime/read_files.ts";

/** What can be expected of an answer: whatever `explain -o json` prints, except what was asked. */
const EXPECTABLE = [
  "service",
  "route",
  "action",
  "destinations",
  "rewrite",
  "redirect",
  "directResponse",
  "timeoutMs",
  "retries",
  "fault",
  "mirrors",
  "requestHeaders",
  "authentication",
  "gatewayAuthorization",
  "authorization",
] as const satisfies readonly (keyof Explanation)[];

export interface Expectation {
  readonly name: string;
  /** `NAMESPACE/NAME` of the caller. */
  readonly from: string;
  /** Null: nothing is said of it. */
  readonly method: string | null;
  readonly url: string;
  /** `NAME: VALUE`. */
  readonly headers: readonly string[];
  /** What the request's token holds, which is taken for verified, as JSON; null: it has none. */
  readonly claims: string | null;
  /** The client's address, where a gateway is asked about; null: nobody said. */
  readonly client: string | null;
  /** A part of the answer: every field that is named must be as it says; lists must have as many items. */
  readonly expect: Readonly<Record<string, unknown>>;
  readonly position: Position;
}

export interface ExpectationsFile {
  /** Directory of the configuration, relative to the file; null when it names none. */
  readonly config: string | null;
  readonly expectations: readonly Expectation[];
}

/** `POST http://cart/items`, or the URL alone, also `tcp://database:5432`. */
const REQUEST = /^(?:(\S+) +)?(\S+)$/;

const expectSchema = v.pipe(
  fields({
    ...Object.fromEntries(EXPECTABLE.map((name) => [name, v.optional(v.unknown())])),
    action: v.optional(oneOf(ACTIONS, "what becomes of a request")),
  }),
  v.check(
    (value) => isMap(value) && Object.keys(value).length > 0,
    wrong("expects nothing", "name a field of the answer, for instance action"),
  ),
) as unknown as Schema<Record<string, unknown>>;

const claims = optional(
  v.custom<Record<string, unknown>>(isMap, wrong("{} is no mapping of claims", "for instance { sub: ann }")),
);

const schema = fields({
  config: optional(v.string()),
  tests: listOfSome(
    fields({
      name: v.string(),
      from: v.string(),
      request: v.pipe(v.string(), v.regex(REQUEST, wrong("must be `METHOD URL` or a URL"))),
      headers: map(v.string()),
      claims,
      client: optional(v.string()),
      expect: expectSchema,
    }),
    "a test",
  ),
});

/** Null, with the reasons, when the file is none. */
export function readExpectations(
  source: SourceFile,
): { readonly file: ExpectationsFile | null; readonly findings: readonly Finding[] } {
  const wanted = "a file of expectations is one document with a list of tests";
  const { document, findings } = readSingleDocument(source, schema, wanted);
  if (document === null) return { file: null, findings };
  const { node, output } = document;
  const expectations = output.tests.map((test, index): Expectation => {
    const [, method = null, url = ""] = REQUEST.exec(test.request) ?? [];
    return {
      name: test.name,
      from: test.from,
      method,
      url,
      headers: Object.entries(test.headers).map(([name, value]) => `${name}: ${value}`),
      claims: test.claims === null ? null : JSON.stringify(test.claims),
      client: test.client,
      expect: test.expect,
      position: node.positionOf(["tests", index]),
    };
  });
  return { file: { config: output.config, expectations }, findings: [] };
}
