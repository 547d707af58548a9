/** Whoever speaks to port 15012 without being a sidecar: from an address of its choice, with a certificate or without. */
import { request as httpsRequest } from "node:https";

export interface AskOptions {
  /** The caller's own IP address. @default the system's choice */
  readonly from?: string;
  /** PEM. @default none is shown */
  readonly identity?: { readonly key: string; readonly chain: string };
  /** @default POST */
  readonly method?: string;
}

export interface DoorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** Parsed JSON; null when it is none. */
  readonly body: { readonly error?: { readonly code: string; readonly message: string } } | null;
}

/** Asks the control plane at an address; a body that is no text is sent as JSON. */
export function askDoor(
  address: string,
  path: string,
  body: unknown,
  { from, identity, method = "POST" }: AskOptions = {},
): Promise<DoorAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest({
      ...{ host: address, port: 15012, path, method, agent: false, rejectUnauthorized: false },
      ...(from === undefined ? {} : { localAddress: from }),
      ...(identity === undefined ? {} : { key: identity.key, cert: identity.chain }),
    }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => text += chunk);
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode = 0, headers } = response;
        resolve({ status: statusCode, headers, text, body: parse(text) });
      });
    });
    request.on("error", reject);
    request.end(typeof body === "string" ? body : JSON.stringify(body));
  });
}

function parse(text: string): DoorAnswer["body"] {
  try {
    return JSON.parse(text) as DoorAnswer["body"];
  } catch {
    return null;
  }
}
