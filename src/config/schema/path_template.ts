/** Istio's path templates: `{*}` stands for one segment, `{**}` for any number of them. */

const OPERATOR = /\{\*\*?\}/;
const ANY_SEGMENTS = "{**}";

/** Why a path is no valid template; null when it is one, or none at all. */
export function pathTemplateFault(path: string): string | null {
  if (!OPERATOR.test(path)) return /[{}]/.test(path) ? "braces stand around * or ** alone" : null;
  if (!path.startsWith("/")) return "a template begins with a slash";
  const segments = path.split("/");
  const operators = segments.filter((segment) => OPERATOR.test(segment));
  if (operators.some((segment) => segment !== "{*}" && segment !== ANY_SEGMENTS)) {
    return "{*} and {**} stand for whole segments";
  }
  if (segments.some((segment) => !OPERATOR.test(segment) && /[*{}]/.test(segment))) {
    return "a template has no * or braces besides {*} and {**}";
  }
  if (operators.slice(0, -1).includes(ANY_SEGMENTS)) return "{**} must be the last operator";
  return null;
}
