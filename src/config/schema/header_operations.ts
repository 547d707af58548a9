/** Istio's Headers: what a route sets, adds and removes on its way, in requests and in responses. */
import * as v from "valibot";
import { isFixedHeader } from "../../model/fixed_headers.ts";
import { asksForAnswer, type FormatFault, parseHeaderFormat } from "../../model/header_format.ts";
import type { FormattedHeader } from "../../model/route.ts";
import { across, type Fault } from "./across.ts";
import { fields, list, map, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { unimplementedValue, wrong } from "./problem.ts";

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** RFC 9110 §5.5, as Latin-1: no control characters but the tab. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** The two names of the one header that says whom a request is for. */
const AUTHORITY_NAMES: readonly string[] = [":authority", "host"];

interface Written {
  set: Record<string, string>;
  add: Record<string, string>;
  remove: string[];
}

interface Operations extends Written {
  /** Those of `set` and `add` whose values have commands, as they are written. @default none */
  formatted?: FormattedHeader[];
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
  across(function* (text: string) {
    const parts = parseHeaderFormat(text);
    if ("fault" in parts) yield { message: FORMAT_FAULTS[parts.fault](parts.at), at: [] };
  }),
);

const FORMAT_FAULTS: Readonly<Record<FormatFault["fault"], (at: string) => string>> = {
  unknown: (at) => unimplementedValue(`Envoy's ${at}`),
  argument: (at) =>
    wrong(`${at} does not name what it is about`, "write %REQ(name)%, %RESP(name)%, or no name"),
  percent: () =>
    wrong("a % begins a command operator of Envoy's, and this is none", 'write "%%" for a percent sign'),
};

/** A value without commands; a percent sign of its own is written twice. */
export const plainHeaderValue = v.pipe(
  headerValue,
  v.check((text) => isPlain(text), unimplementedValue("a command of Envoy's here")),
  v.transform(plainText),
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
    across(function* ({ set, add, remove }: Written): Iterable<Fault> {
      yield* faultyNames(Object.keys(set), (name) => ["set", name], of === "request");
      yield* faultyNames(Object.keys(add), (name) => ["add", name], of === "request");
      yield* faultyNames(remove, (_, index) => ["remove", index], false);
      const authorities = [...Object.keys(set), ...Object.keys(add)].filter(isAuthority);
      if (of === "request" && authorities.length > 1) {
        yield { message: wrong("sets the authority more than once"), at: [] };
      }
      for (const [field, values] of Object.entries({ set, add })) yield* faultyFormats(values, field, of);
    }),
    v.transform(({ set, add, remove }: Written): Operations => {
      const formatted = [...formattedOf(set, true), ...formattedOf(add, false)];
      return {
        set: plainOnes(set),
        add: plainOnes(add),
        remove: remove.map((name) => name.toLowerCase()),
        ...formatted.length === 0 ? {} : { formatted },
      };
    }),
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

function* faultyFormats(
  values: Record<string, string>,
  field: string,
  of: "request" | "response",
): Generator<Fault> {
  for (const [name, text] of Object.entries(values)) {
    const at = [field, name];
    if (!isPlain(text) && isAuthority(name)) {
      yield { message: wrong("the authority is set to what is written, without commands"), at };
    }
    const parts = parseHeaderFormat(text);
    if (of === "request" && !("fault" in parts) && asksForAnswer(parts)) {
      yield { message: wrong("asks for something of the answer, which is not there yet"), at };
    }
  }
}

/** Whether a value has no commands. */
function isPlain(text: string): boolean {
  const parts = parseHeaderFormat(text);
  return "fault" in parts || parts.every((part) => typeof part === "string");
}

function plainText(text: string): string {
  return text.replaceAll("%%", "%");
}

function formattedOf(values: Record<string, string>, replaces: boolean): FormattedHeader[] {
  return Object.entries(values).filter(([, text]) => !isPlain(text))
    .map(([name, text]) => ({ name: name.toLowerCase(), replaces, text }));
}

function plainOnes(values: Record<string, string>): Record<string, string> {
  const plain = Object.entries(values).filter(([, text]) => isPlain(text));
  return lowerNames(Object.fromEntries(plain.map(([name, text]) => [name, plainText(text)])));
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
