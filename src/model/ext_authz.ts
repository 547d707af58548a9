/**
 * Who is asked whether a request may pass, where a policy with the action CUSTOM says so: a server of the operator's
 * (MeshConfig `extensionProviders[].envoyExtAuthzHttp`). Lists of headers are lower-case names, `abc*` and `*abc`.
 */
export interface ExtAuthz {
  /** As policies name it. */
  readonly provider: string;
  /** Where it is. */
  readonly cluster: string;
  readonly timeoutMs: number;
  /** Stands before the path of the request. */
  readonly pathPrefix: string;
  /** Requests pass where it cannot be asked, or has failed itself. @default they are refused */
  readonly failOpen?: true;
  /** What a request is answered where it cannot be asked. */
  readonly statusOnError: number;
  /** Headers of the request that it sees, beside method, path and authority. */
  readonly requestHeaders: readonly string[];
  /** Headers that it sees in every request. */
  readonly addedHeaders: Readonly<Record<string, string>>;
  /** What it sees of the body. @default nothing */
  readonly body?: { readonly bytesMax: number; readonly partial: boolean };
  /** Headers of its answer that the workload sees, where it allows. */
  readonly upstreamHeaders: readonly string[];
  /** Headers of its answer that the client sees, where it allows, and where it denies; of the latter none means all. */
  readonly allowHeaders: readonly string[];
  readonly denyHeaders: readonly string[];
}
