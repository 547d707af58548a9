/** BOW0064: a regex that is a mere word, which has to be the whole value. */
import type { NamedMatch, StringMatch } from "../../model/route.ts";
import { CODES } from "../codes.ts";
import { type Analyzer, notice } from "./analyzer.ts";

/** Without any operator, and without a backslash. */
const WORD = /^[^\\^$.|?*+()[\]{}]+$/;

export const regexWords: Analyzer = function* ({ virtualServices }) {
  for (const resource of virtualServices) {
    for (const [rule, { match }] of resource.spec.http.entries()) {
      for (const [index, block] of match.entries()) {
        const values: [readonly string[], StringMatch | null][] = [
          ...(["uri", "scheme", "method", "authority"] as const)
            .map((field): [string[], StringMatch | null] => [[field], block[field]]),
          ...(["headers", "withoutHeaders", "queryParams"] as const)
            .flatMap((field) =>
              block[field].map((
                { name, match }: NamedMatch,
              ): [string[], StringMatch] => [[field, name], match])
            ),
        ];
        for (const [field, value] of values) {
          if (value?.type !== "regex" || !WORD.test(value.value)) continue;
          yield notice(
            CODES.regexWord,
            resource,
            ["spec", "http", rule, "match", index, ...field, "regex"],
            `a regex has to match as a whole, so this asks for "${value.value}" and nothing before or after it`,
            `write ".*${value.value}.*", or use exact`,
          );
        }
      }
    }
  }
};
