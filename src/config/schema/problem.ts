/**
 * What a schema says about a value it refuses. valibot carries one string per issue; a problem needs a code and a hint
 * too, so it travels as that string's JSON and nowhere else than between here and schema_findings.ts.
 */
import { CODES } from "../codes.ts";

export interface Problem {
  /** One of CODES. */
  readonly code: string;
  /** One sentence without a full stop. */
  readonly message: string;
  /** What to do about it. */
  readonly hint: string | null;
  /** The field that an unknown one most likely meant. */
  readonly meant?: string;
}

/** A value that is wrong in itself, as a valibot message; `{}` at its beginning stands for the value. */
export function wrong(message: string, hint: string | null = null): string {
  return encode({ code: CODES.schema, message, hint });
}

/** Whose API a field belongs to. */
export type Api = "Istio" | "Kubernetes";

/** A value that Istio or Kubernetes accepts and this version of bowline does not implement, as a valibot message. */
export function unimplementedValue(what: string, hint: string | null = null): string {
  return encode(unimplementedValueProblem(what, hint));
}

export function unimplementedValueProblem(what: string, hint: string | null = null): Problem {
  return {
    code: CODES.unimplementedValue,
    message: `${what} is not implemented in this version of bowline`,
    hint,
  };
}

/** A field of the API that bowline does not implement, as a valibot message. */
export function unimplementedField(name: string, api: Api): string {
  return encode(unimplementedFieldProblem(name, api));
}

export function unimplementedFieldProblem(name: string, api: Api): Problem {
  const whose = api === "Istio" ? "Istio's" : "Kubernetes'";
  return {
    code: CODES.unimplementedField,
    message: `the field "${name}" is ${whose}, but this version of bowline does not implement it`,
    hint: "remove it, or pass --lenient to load without it",
  };
}

/** A field that nobody knows, as a valibot message. */
export function unknownField(name: string, meant: string | undefined): string {
  return encode({
    code: CODES.unknownField,
    message: `unknown field "${name}"`,
    hint: meant === undefined ? null : `did you mean "${meant}"?`,
    meant,
  });
}

/** The problem that a valibot message carries, or undefined for one of valibot's own messages. */
export function readProblem(message: string): Problem | undefined {
  return message.startsWith(MARK) ? JSON.parse(message.slice(MARK.length)) : undefined;
}

/** No message of valibot's begins with it. */
const MARK = "\u0000problem:";

function encode(problem: Problem): string {
  return MARK + JSON.stringify(problem);
}
