/** An item of MeshConfig's `extensionProviders`: servers of the operator's that proxies may ask. */
import * as v from "valibot";
import { fields, list, map, optional, type Schema } from "./fields.ts";
import { headerName, plainHeaderValue } from "./header_operations.ts";
import { duration, wholeNumber } from "./numbers.ts";
import { wrong } from "./problem.ts";
import { isDnsName, portNumber } from "./scalars.ts";

/** Bytes of a body that a proxy keeps until somebody has judged it. */
const CHECKED_BODY_BYTES_MAX = 1_048_576;

const service: Schema<string> = v.pipe(
  v.string(),
  v.check((text) => {
    const [host = "", namespace, ...rest] = text.split("/").reverse();
    return rest.length === 0 && isDnsName(host) && (namespace === undefined || isDnsName(namespace));
  }, wrong('{} is neither "HOST" nor "NAMESPACE/HOST"')),
);

const status: Schema<string> = v.pipe(
  v.string(),
  v.check((text) => /^[45]\d\d$/.test(text), wrong("a status of an error is a text from 400 to 599")),
);

/** `abc`, `abc*` or `*abc`; `*` alone would be every header. */
const headerPattern: Schema<string> = v.pipe(
  v.string(),
  v.check(
    (text) => /^(\*?[a-z0-9_-]+|[a-z0-9_-]+\*)$/i.test(text),
    wrong("{} is no header's name, nor the beginning (abc*) or the end (*abc) of one"),
  ),
  v.check((text) => !/^(x-bowline-|:)/i.test(text), wrong("{} is of proxies alone")),
);

const requestBody = fields({
  maxRequestBytes: wholeNumber("a number of bytes", 1, CHECKED_BODY_BYTES_MAX),
  allowPartialMessage: v.nullish(v.boolean(), false),
  /** It is about gRPC alone. */
  packAsBytes: v.nullish(v.boolean(), false),
});

const envoyExtAuthzHttp = fields({
  service,
  port: portNumber,
  timeout: v.nullish(duration, "600s"),
  pathPrefix: v.nullish(
    v.pipe(
      v.string(),
      v.check((text) => /^\/[\x21-\x7e]*$/.test(text), wrong("{} does not begin with a slash")),
    ),
    null,
  ),
  failOpen: v.nullish(v.boolean(), false),
  statusOnError: v.nullish(status, "403"),
  /** Istio's older name for the next one. */
  includeHeadersInCheck: list(headerPattern),
  includeRequestHeadersInCheck: list(headerPattern),
  includeAdditionalHeadersInCheck: map(plainHeaderValue, headerName as v.GenericSchema<string, string>),
  includeRequestBodyInCheck: optional(requestBody as Schema<v.InferOutput<typeof requestBody>>),
  headersToUpstreamOnAllow: list(headerPattern),
  headersToDownstreamOnAllow: list(headerPattern),
  headersToDownstreamOnDeny: list(headerPattern),
}, ["clearRouteCache"]);

export const extensionProvider = fields({
  name: v.pipe(v.string(), v.nonEmpty(wrong("a provider needs a name"))) as Schema<string>,
  envoyExtAuthzHttp: optional(envoyExtAuthzHttp as Schema<v.InferOutput<typeof envoyExtAuthzHttp>>),
}, [
  "datadog",
  "envoyExtAuthzGrpc",
  "envoyFileAccessLog",
  "envoyHttpAls",
  "envoyOtelAls",
  "envoyTcpAls",
  "lightstep",
  "opencensus",
  "opentelemetry",
  "prometheus",
  "sds",
  "skywalking",
  "stackdriver",
  "zipkin",
]);
