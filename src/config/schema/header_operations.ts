/** Istio's Headers: what a route sets, adds and removes on its way, in requests and in responses. */
import * as v from "valibot";
import { isFixedHeader } from "../../model/fixed_headers.ts";
import { across, type Fault } from "./across.ts";
import { fields, list, map, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { unimplementedValue, wrong } from "./problem.ts";

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** RFC 9110 §5.5, as Latin-1: no control characters but the tab. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Envoy's command operators; a percent sign of its own is written twice. */
const COMMAND_OPERATOR = /%[A-Z][A-Z0-9_]*(\([^)]*\))?(:\d+)?%/;

/** The two names of the one header that says whom a request is for. */
const AUTHORITY_NAMES: readonly string[] = [":authority", "host"];

interface Operations {
  set: Record<string, string>;
  add: Record<string, string>;
  remove: string[];
}

export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** What may stand in a header. */
export function isFieldValue(text: string): boolean {
  return FIELD_VALUE.test(text);
}

/** Names of headers, as CORS lists them: in lower case, or `*`. */
export const headerName: Schema<string> = v.pipe(
  v.string(),
  v.check((name) => isToken(name), wrong("{} is not the name of a header")),
  v.transform((name) => name.toLowerCase()),
);

/** What a rule writes into a header. */
export const headerValue: Schema<string> = v.pipe(
  v.string(),
  v.check(
    isFieldValue,
    wrong("a header's value has no control characters and no line breaks"),
  ),
  v.check((text) => !COMMAND_OPERATOR.test(withoutEscapes(text)), unimplementedValue("Envoy's %COMMAND%")),
  v.check(
    (text) => COMMAND_OPERATOR.test(withoutEscapes(text)) || !withoutEscapes(text).includes("%"),
    wrong("a % begins a command operator of Envoy's, and this is none", 'write "%%" for a percent sign'),
  ),
  v.transform((text) => text.replaceAll("%%", "%")),
);

/**
 * Names come out in lower case, `:authority` as `host`. Only requests have an authority, and only `set` and `add` may
 * touch it; other names that begin with `:` belong to the protocol.
 */
function operations(of: "request" | "response") {
  return v.pipe(
    fields({
      /** Replaces whatever is there. */
      set: map(headerValue),
      /** Appends a value to what is there. */
      add: map(headerValue),
      remove: list(v.string() as Schema<string>),
    }),
    across(function* ({ set, add, remove }: Operations): Iterable<Fault> {
      yield* faultyNames(Object.keys(set), (name) => ["set", name], of === "request");
      yield* faultyNames(Object.keys(add), (name) => ["add", name], of === "request");
      yield* faultyNames(remove, (_, index) => ["remove", index], false);
      const authorities = [...Object.keys(set), ...Object.keys(add)].filter(isAuthority);
      if (of === "request" && authorities.length > 1) {
        yield { message: wrong("sets the authority more than once"), at: [] };
      }
    }),
    v.transform(({ set, add, remove }: Operations): Operations => ({
      set: lowerNames(set),
      add: lowerNames(add),
      remove: remove.map((name) => name.toLowerCase()),
    })),
  ) as unknown as Schema<Operations>;
}

/** Null where nothing was written. */
export const headerOperations = fields({
  request: optional(operations("request")),
  response: optional(operations("response")),
});

export type HeaderOperations = Immutable<Operations>;
export type Headers = Immutable<v.InferOutput<typeof headerOperations>>;

function* faultyNames(
  names: readonly string[],
  at: (name: string, index: number) => readonly (string | number)[],
  authorityAllowed: boolean,
): Generator<Fault> {
  const seen = new Set<string>();
  for (const [index, name] of names.entries()) {
    const path = at(name, index);
    const lower = name.toLowerCase();
    if (isAuthority(name) ? !authorityAllowed : name.startsWith(":")) {
      yield { message: wrong(`"${name}" cannot be changed here, and Istio ignores it`), at: path };
    } else if (!isAuthority(name) && !isToken(name)) {
      yield { message: wrong(`${JSON.stringify(name)} is not the name of a header`), at: path };
    } else if (!isAuthority(name) && isFixedHeader(lower)) {
      yield {
        message: wrong(`"${name}" belongs to the message or the connection and cannot be changed`),
        at: path,
      };
    } else if (seen.has(lower)) {
      yield { message: wrong(`the header "${lower}" is named twice`), at: path };
    }
    seen.add(lower);
  }
}

/** Whether a name, in whatever case, is that of the authority. */
export function isAuthority(name: string): boolean {
  return AUTHORITY_NAMES.includes(name.toLowerCase());
}

function lowerNames(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([name, text]) => [isAuthority(name) ? "host" : name.toLowerCase(), text]),
  );
}

function withoutEscapes(text: string): string {
  return text.replaceAll("%%", "");
}
