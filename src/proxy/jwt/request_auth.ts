/** What a token says of a request once it is verified: all that policies and routes see of it. */

export interface RequestAuth {
  /** `ISSUER/SUBJECT`; empty where the token lacks one of them. */
  readonly principal: string;
  readonly audiences: readonly string[];
  /** Whom the token was issued to (`azp`); empty where it does not say. */
  readonly presenter: string;
  /** The payload; claims that are lists between spaces are lists here. */
  readonly claims: Claims;
}

export type Claims = Readonly<Record<string, unknown>>;

/** Claims that are lists between spaces, in any token (RFC 6749 §3.3). */
const SPACE_DELIMITED = ["scope", "permission"];

/** `spaceDelimited` names further claims of that kind. */
export function requestAuthOf(payload: Claims, spaceDelimited: readonly string[]): RequestAuth {
  const lists = [...SPACE_DELIMITED, ...spaceDelimited].flatMap((name) => {
    const value = own(payload, name);
    return typeof value === "string" ? [[name, value.split(" ").filter((item) => item !== "")] as const] : [];
  });
  const claims = lists.length === 0 ? payload : { ...payload, ...Object.fromEntries(lists) };
  const [issuer, subject] = [text(payload, "iss"), text(payload, "sub")];
  return {
    principal: issuer === "" || subject === "" ? "" : `${issuer}/${subject}`,
    audiences: textsOf(own(payload, "aud")),
    presenter: text(payload, "azp"),
    claims,
  };
}

/** A claim by its keys from the outside in, as texts: of a list all its items, of anything else that is no map one. */
export function claimTexts({ claims }: RequestAuth, path: readonly string[]): readonly string[] {
  let value: unknown = claims;
  for (const key of path) value = own(value, key);
  return textsOf(value);
}

function textsOf(value: unknown): readonly string[] {
  const items: readonly unknown[] = Array.isArray(value) ? value : [value];
  return items.filter((item) => ["string", "number", "boolean"].includes(typeof item)).map(String);
}

function text(payload: Claims, name: string): string {
  const value = own(payload, name);
  return typeof value === "string" ? value : "";
}

/** Nothing that an object has by nature is a claim. */
function own(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, key) ? (value as Claims)[key] : undefined;
}
