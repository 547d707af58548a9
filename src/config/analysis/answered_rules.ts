/** BOW0049: settings of what is sent on, in a rule that answers by itself. */
import { CODES } from "../codes.ts";
import { type Analyzer, isWritten, notice } from "./analyzer.ts";

/** What else excludes an answer is refused by the schema. */
const SETTINGS = ["timeout", "retries", "mirror", "mirrors"] as const;

export const answeredRules: Analyzer = function* ({ virtualServices }) {
  for (const resource of virtualServices) {
    for (const [index, { redirect, directResponse }] of resource.spec.http.entries()) {
      if (redirect === null && directResponse === null) continue;
      for (const field of SETTINGS) {
        const path = ["spec", "http", index, field];
        if (!isWritten(resource, path)) continue;
        const action = redirect === null ? "a direct response" : "a redirect";
        const message = `has no effect beside ${action}: nothing is sent on`;
        yield notice(CODES.settingOfAnswer, resource, path, message, "remove it");
      }
    }
  }
};
