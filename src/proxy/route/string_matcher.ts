/** Compiled string conditions (Istio StringMatch): no regular expression runs unless one was written. */
import { compileRegex } from "../../lib/regex.ts";
import type { StringMatch } from "../../model/route.ts";

export interface StringMatcher {
  /** Undefined: the thing is not there. */
  holds(value: string | undefined): boolean;
  /** `starts with "/api"`, for explanations. */
  readonly wants: string;
}

/** Throws when a regex does not compile; the snapshot is then refused. */
export function compileStringMatch(match: StringMatch, ignoreCase = false): StringMatcher {
  switch (match.type) {
    case "present":
      return { holds: (value) => value !== undefined, wants: "to be present" };
    case "exact": {
      const wants = `to be ${JSON.stringify(match.value)}`;
      if (!ignoreCase) return { holds: (value) => value === match.value, wants };
      const expected = match.value.toLowerCase();
      return { holds: (value) => value?.toLowerCase() === expected, wants: `${wants} in any case` };
    }
    case "prefix": {
      const wants = `to start with ${JSON.stringify(match.value)}`;
      if (!ignoreCase) {
        return { holds: (value) => value !== undefined && value.startsWith(match.value), wants };
      }
      const expected = match.value.toLowerCase();
      return {
        holds: (value) => value !== undefined && value.toLowerCase().startsWith(expected),
        wants: `${wants} in any case`,
      };
    }
    case "regex": {
      // RE2 is linear in the input whatever the expression; the whole string must match, as in Envoy.
      const expression = compileRegex(match.value);
      return {
        holds: (value) => value !== undefined && expression.matches(value),
        wants: `to match ${match.value} as a whole`,
      };
    }
  }
}
