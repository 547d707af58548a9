/** The conditions of a route's match, compiled. The proxy asks whether they hold, `explain` also why not. */
import { queryParameter } from "./query_parameter.ts";
import { claimKeys } from "../../model/claim_name.ts";
import type { NamedMatch, RouteMatch } from "../../model/route.ts";
import type { HeaderList, RequestHead } from "../exchange.ts";
import { claimTexts } from "../jwt/request_auth.ts";
import { compileStringMatch, type StringMatcher } from "./string_matcher.ts";

export interface Condition {
  holds(head: RequestHead): boolean;
  /** One clause about a request for which it does not hold. */
  whyNot(head: RequestHead): string;
}

/** The conditions that must all hold, the cheap ones first. */
export function compileConditions(match: RouteMatch): Condition[] {
  const conditions: Condition[] = [];
  if (match.method !== null) {
    conditions.push(part("the method", compileStringMatch(match.method), (h) => h.method));
  }
  if (match.scheme !== null) {
    conditions.push(part("the scheme", compileStringMatch(match.scheme), (h) => h.scheme));
  }
  if (match.authority !== null) {
    conditions.push(part("the authority", compileStringMatch(match.authority), (h) => h.authority));
  }
  if (match.path !== null) {
    conditions.push(part("the path", compileStringMatch(match.path, match.ignorePathCase), pathWithoutQuery));
  }
  for (const { name, match: expected } of match.headers) {
    const keys = claimKeys(name);
    conditions.push(
      keys === null
        ? part(`header ${name}`, compileStringMatch(expected), (head) => headerList(head.headers, name))
        : claim(keys, compileStringMatch(expected)),
    );
  }
  for (const named of match.withoutHeaders) {
    const keys = claimKeys(named.name);
    conditions.push(keys === null ? absent(named) : not(claim(keys, compileStringMatch(named.match))));
  }
  for (const { name, match: expected } of match.queryParams) {
    conditions.push(
      part(
        `query parameter ${name}`,
        compileStringMatch(expected),
        (head) => queryParameter(head.path, name),
      ),
    );
  }
  return conditions;
}

function part(
  what: string,
  matcher: StringMatcher,
  read: (head: RequestHead) => string | undefined,
): Condition {
  return {
    holds: (head) => matcher.holds(read(head)),
    whyNot(head) {
      const value = read(head);
      const found = value === undefined ? "it is not there" : `it is ${JSON.stringify(value)}`;
      return `${what} has ${matcher.wants}, and ${found}`;
    },
  };
}

/** A claim of the verified token; of a list one item has to match. */
function claim(keys: readonly string[], matcher: StringMatcher): Condition & { readonly what: string } {
  const read = ({ auth }: RequestHead) => auth === undefined ? [] : claimTexts(auth, keys);
  const what = `the claim ${keys.join(".")}`;
  return {
    what,
    holds: (head) => read(head).some((text) => matcher.holds(text)),
    whyNot(head) {
      if (head.auth === undefined) return `${what} has ${matcher.wants}, and no token was verified`;
      const found = read(head).map((text) => JSON.stringify(text)).join(", ");
      return `${what} has ${matcher.wants}, and ${found === "" ? "it is not there" : `it is ${found}`}`;
    },
  };
}

function not({ what, holds }: ReturnType<typeof claim>): Condition {
  return { holds: (head) => !holds(head), whyNot: () => `${what} must not be what it is` };
}

/** `withoutHeaders`: a missing header is the empty string, except that `present` asks for its absence. */
function absent({ name, match }: NamedMatch): Condition {
  const matcher = compileStringMatch(match);
  const read = (head: RequestHead) => {
    const value = headerList(head.headers, name);
    return match.type === "present" ? value : value ?? "";
  };
  return {
    holds: (head) => !matcher.holds(read(head)),
    whyNot: (head) => `header ${name} must not be what it is: ${JSON.stringify(read(head) ?? "")}`,
  };
}

/** The value of a header; of a repeated one the list of all, as RFC 9110 §5.3 reads it and Envoy matches it. */
function headerList(headers: HeaderList, name: string): string | undefined {
  let list: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== name) continue;
    list = list === undefined ? headers[i + 1] as string : `${list},${headers[i + 1]}`;
  }
  return list;
}

export function pathWithoutQuery(head: RequestHead): string {
  const query = head.path.indexOf("?");
  return query < 0 ? head.path : head.path.slice(0, query);
}
