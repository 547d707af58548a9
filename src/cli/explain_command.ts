/** `bowline explain`: where a request would go and why, from the files alone or with the workloads that there are. */
import type { Snapshot } from "../model/snapshot.ts";
import { parseWorkloadKey } from "../model/workload.ts";
import type { KnownWorkloads } from "../pilot/file_workloads.ts";
import { fileSnapshots } from "../pilot/translate.ts";
import { explain } from "../proxy/explain/explain.ts";
import type { Receiver } from "../proxy/explain/receiver.ts";
import type { Explained } from "../proxy/explain/explanation.ts";
import { ExplainRequestError, pathFormOf, readExplainRequest } from "../proxy/explain/request.ts";
import { AdminClient } from "./admin_client.ts";
import { loadResources, trustDomainOf, unknownAmong, unknownWorkload } from "./config_files.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_codes.ts";
import { explainText } from "./explain_text.ts";
import { type OutputFormat, printable, printData, printMessage } from "./output.ts";

export interface ExplainOptions {
  readonly output: OutputFormat;
  /** Directory of Istio YAML files. */
  readonly config: string;
  /** The workloads are those that the running control plane knows, not those of the files. @default false */
  readonly live?: boolean;
  /** Data directory of the control plane that is asked. */
  readonly data?: string;
  /** `NAMESPACE/NAME` of the caller. */
  readonly from: string;
  /** Absent: nothing was said of it. */
  readonly method?: string;
  readonly url: string;
  /** `NAME: VALUE`. */
  readonly headers: readonly string[];
  /** JSON. */
  readonly claims?: string;
  /** An IP address. */
  readonly client?: string;
}

export async function runExplain(options: ExplainOptions): Promise<ExitCode> {
  const { config, from, output, live = false, data } = options;
  if (parseWorkloadKey(from) === undefined) {
    throw new CommandError(
      EXIT.usage,
      `The caller must be NAMESPACE/NAME in lower case, not ${JSON.stringify(from)}`,
      "for instance --from tutorial/customer",
    );
  }
  const resources = await loadResources(config, "nothing can be explained until it loads as a whole");
  const known = live ? await new AdminClient(data).get("/v1/workloads") as KnownWorkloads : null;
  const snapshotOf = known === null
    ? fileSnapshots(resources, trustDomainOf(resources))
    : fileSnapshots(resources, known.trustDomain, known.workloads);
  const snapshot = snapshotOf(from);
  if (snapshot === undefined) {
    throw known === null
      ? unknownWorkload(from, config, resources)
      : unknownAmong(known.workloads, from, { who: "workload of the mesh", none: "there is none yet" });
  }
  const answered = answer(options, snapshot, snapshotOf);
  const explained = known === null ? withNoteOnFiles(answered) : answered;
  if (output !== "table") {
    for (const { text } of explained.notes) {
      printMessage(`Note: ${printable(text)}`);
    }
  }
  await printData(output, explained.explanation, () => explainText(explained));
  return EXIT.ok;
}

/** An endpoint that is missing may be there all the same. */
function withNoteOnFiles(explained: Explained): Explained {
  if (explained.explanation.destinations.every(({ endpoints }) => endpoints.length > 0)) return explained;
  return { ...explained, notes: [...explained.notes, { destination: null, text: NOT_IN_FILES }] };
}

const NOT_IN_FILES =
  "Only workloads that the files name were looked at. Those that joined with a token alone are known to the " +
  "control plane: --live asks it.";

function answer(
  { method, url, headers, claims, client }: ExplainOptions,
  snapshot: Snapshot,
  receiver: Receiver,
): Explained {
  try {
    const request = readExplainRequest(method ?? null, url, headers, {
      claims,
      client,
      form: pathFormOf(snapshot),
    });
    return explain(snapshot, request, receiver);
  } catch (error) {
    if (!(error instanceof ExplainRequestError)) throw error;
    throw new CommandError(EXIT.usage, printable(error.message), HINTS[error.code], { cause: error });
  }
}

const HINTS: Readonly<Record<ExplainRequestError["code"], string | undefined>> = {
  method: "the method comes first: bowline explain ... POST http://cart/items",
  url: "for instance http://recommendation:8080/path?query, or tcp://database:5432",
  claims: `for instance --claims '{"iss": "https://issuer.example.com", "sub": "ann"}'`,
  client: "--client is the address from which a client calls a gateway",
  header: "for instance -H 'x-user: ann'",
  refused: undefined,
};
