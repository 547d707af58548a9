/** WorkloadGroup (networking.istio.io): what workloads that join by themselves have in common, and how they are probed. */
import * as v from "valibot";
import { fields, list, listOfSome, map, optional, type Schema } from "./fields.ts";
import { isFieldValue, isToken } from "./header_operations.ts";
import type { Immutable } from "./immutable.ts";
import { INT32_MAX, wholeNumber } from "./numbers.ts";
import { wrong } from "./problem.ts";
import { labels, oneOf, portNumber, text } from "./scalars.ts";
import { workloadFields } from "./workload_entry.ts";

/** How a workload's health is found out. */
export type ProbeMethod =
  | {
    readonly type: "httpGet";
    readonly path: string;
    readonly port: number;
    /** Null: the workload itself. */
    readonly host: string | null;
    readonly scheme: "HTTP" | "HTTPS";
    readonly httpHeaders: readonly { readonly name: string; readonly value: string }[];
  }
  | { readonly type: "tcpSocket"; readonly host: string | null; readonly port: number }
  | { readonly type: "exec"; readonly command: readonly string[] }
  | { readonly type: "grpc"; readonly port: number; readonly service: string };

const header = fields({
  name: v.pipe(v.string(), v.check(isToken, wrong("{} is not the name of a header"))),
  value: v.nullish(
    v.pipe(
      v.string(),
      v.check(isFieldValue, wrong("a header's value has no control characters and no line breaks")),
    ),
    "",
  ),
});

/** What a request line can carry: no spaces, no controls. */
const path = v.pipe(
  v.string(),
  v.check((text) => /^[!-~]*$/.test(text), wrong("{} is not the path of a URL")),
);

const methods = {
  httpGet: optional(fields({
    path: v.nullish(path, "/"),
    port: portNumber,
    host: text,
    scheme: v.nullish(oneOf(["HTTP", "HTTPS"], "a scheme"), "HTTP"),
    httpHeaders: list(header),
  })),
  tcpSocket: optional(fields({ host: text, port: portNumber })),
  exec: optional(fields({ command: listOfSome(v.string() as Schema<string>, "the program to run") })),
  grpc: optional(fields({ port: portNumber, service: v.nullish(v.string(), "") })),
};

const METHOD_NAMES = ["httpGet", "tcpSocket", "exec", "grpc"] as const;

/** 0, which protobuf cannot tell from nothing, is the default. */
function countOr(what: string, byDefault: number): Schema<number> {
  return v.pipe(
    v.nullish(wholeNumber(what, 0, INT32_MAX), byDefault),
    v.transform((value) => value === 0 ? byDefault : value),
  );
}

const written = fields({
  initialDelaySeconds: v.nullish(wholeNumber("a delay", 0, INT32_MAX), 0),
  timeoutSeconds: countOr("a timeout", 1),
  periodSeconds: countOr("a period", 10),
  successThreshold: countOr("a threshold", 1),
  failureThreshold: countOr("a threshold", 3),
  ...methods,
});

type Written = v.InferOutput<typeof written>;

/** In what comes out, `method` is the one that was written. */
const probe = v.pipe(
  written,
  v.check(
    (probe) => METHOD_NAMES.filter((name) => probe[name] !== null).length === 1,
    wrong("needs exactly one of httpGet, tcpSocket, exec and grpc"),
  ),
  v.transform(({ httpGet, tcpSocket, exec, grpc, ...times }: Written) => ({
    ...times,
    method: methodOf({ httpGet, tcpSocket, exec, grpc }),
  })),
);

const misplaced = (where: string): Schema<null> =>
  v.pipe(
    v.unknown(),
    v.check(() => false, wrong("does not belong in a template", where)),
    v.transform(() => null),
  );

const template = v.pipe(
  fields({
    ...workloadFields,
    address: optional(misplaced("each workload brings its own address")),
    labels,
  }),
  v.transform(({ address: _, ...rest }) => rest),
);

/** In what comes out, all labels are those of the metadata: Istio adds to them what only the template has. */
export const workloadGroupSpec = v.pipe(
  fields({
    /** Of the workloads, not of the group. */
    metadata: v.nullish(fields({ labels, annotations: map(v.string() as Schema<string>) }), {}),
    template: template as Schema<v.InferOutput<typeof template>>,
    probe: optional(probe),
  }),
  v.transform(({ metadata, template: { labels, ...template }, probe }) => ({
    metadata: { ...metadata, labels: { ...labels, ...metadata.labels } },
    template,
    probe,
  })),
);

export type WorkloadGroupSpec = Immutable<v.InferOutput<typeof workloadGroupSpec>>;
export type Probe = NonNullable<WorkloadGroupSpec["probe"]>;

function methodOf({ httpGet, tcpSocket, exec, grpc }: Pick<Written, keyof typeof methods>): ProbeMethod {
  if (httpGet !== null) return { type: "httpGet", ...httpGet };
  if (tcpSocket !== null) return { type: "tcpSocket", ...tcpSocket };
  if (exec !== null) return { type: "exec", ...exec };
  return { type: "grpc", ...grpc as NonNullable<Written["grpc"]> };
}
