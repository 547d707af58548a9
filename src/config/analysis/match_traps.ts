/** BOW0040 to BOW0042: conditions of a match that never hold, say nothing, or are written in another way than they mean. */
import { isClaimName } from "../../model/claim_name.ts";
import { CODES } from "../codes.ts";
import type { Finding } from "../finding.ts";
import type { ConfigResource } from "../resource.ts";
import type { HttpMatch } from "../schema/http_match.ts";
import type { VirtualServiceSpec } from "../schema/virtual_service.ts";
import { type Analyzer, type FieldPath, isWritten, notice, warning } from "./analyzer.ts";
import { remembered } from "./remembered.ts";

type VirtualService = ConfigResource<VirtualServiceSpec>;

export const matchTraps: Analyzer = ({ virtualServices }) => inEach(virtualServices);

const inEach = remembered(function* (resource: VirtualService): Generator<Finding> {
  for (const [rule, { match }] of resource.spec.http.entries()) {
    for (const [index, block] of match.entries()) {
      const path = ["spec", "http", rule, "match", index];
      yield* queryInPath(resource, path, block);
      yield* caseOfPath(resource, path, block);
      yield* caseOfNames(resource, path, block);
    }
  }
});

function* queryInPath(resource: VirtualService, path: FieldPath, { uri }: HttpMatch): Generator<Finding> {
  // A regex may have a query that it does not need.
  if (uri?.type !== "exact" && uri?.type !== "prefix") return;
  if (!uri.value.includes("?")) return;
  const message = "the path is compared without its query, so this never holds";
  yield warning(CODES.queryInPath, resource, [...path, "uri", uri.type], message, "use queryParams");
}

function* caseOfPath(
  resource: VirtualService,
  path: FieldPath,
  { uri, ignoreUriCase }: HttpMatch,
): Generator<Finding> {
  if (!ignoreUriCase || uri?.type === "exact" || uri?.type === "prefix") return;
  const [message, hint] = uri === null
    ? ["there is no uri beside it, so it says nothing", null]
    : ["it says nothing of a regex, which heeds case all the same", "begin the regex with (?i)"];
  yield warning(CODES.uriCaseKept, resource, [...path, "ignoreUriCase"], message, hint);
}

/** What comes out of the schema is lower case: a name that is not written so was written otherwise. */
function* caseOfNames(resource: VirtualService, path: FieldPath, block: HttpMatch): Generator<Finding> {
  for (const field of ["headers", "withoutHeaders"] as const) {
    for (const { name } of block[field]) {
      // A claim is written in two ways, and keeps its case in both.
      if (isClaimName(name) || isWritten(resource, [...path, field, name])) continue;
      const message = `names of headers are in lower case, and Istio asks for them so: "${name}"`;
      yield notice(CODES.headerCase, resource, [...path, field], message, "write it in lower case");
    }
  }
}
