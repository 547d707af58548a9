/** The servers that policies with the action CUSTOM ask, as MeshConfig has them. */
import type { MeshConfigSpec } from "../config/schema/mesh_config.ts";
import type { ExtAuthz } from "../model/ext_authz.ts";
import { clusterName } from "../model/cluster.ts";

type Providers = Pick<MeshConfigSpec, "extensionProviders">;

/** The provider of that name; null: there is none that can be asked. */
export function extAuthzOf({ extensionProviders }: Providers, name: string): ExtAuthz | null {
  const http = extensionProviders.find((provider) => provider.name === name)?.envoyExtAuthzHttp ?? null;
  if (http === null) return null;
  const body = http.includeRequestBodyInCheck;
  const lower = (names: readonly string[]) => names.map((text) => text.toLowerCase());
  return {
    provider: name,
    cluster: clusterName(http.port, null, hostOf(http.service)),
    timeoutMs: http.timeout,
    pathPrefix: http.pathPrefix ?? "",
    ...(http.failOpen ? { failOpen: true as const } : {}),
    statusOnError: Number(http.statusOnError),
    requestHeaders: lower([...http.includeHeadersInCheck, ...http.includeRequestHeadersInCheck]),
    addedHeaders: http.includeAdditionalHeadersInCheck,
    ...(body === null ? {} : { body: { bytesMax: body.maxRequestBytes, partial: body.allowPartialMessage } }),
    upstreamHeaders: lower(http.headersToUpstreamOnAllow),
    allowHeaders: lower(http.headersToDownstreamOnAllow),
    denyHeaders: lower(http.headersToDownstreamOnDeny),
  };
}

/** The services where they are: every proxy may have to ask, whatever else it sees of the mesh. */
export function extAuthzHosts({ extensionProviders }: Providers): ReadonlySet<string> {
  return new Set(
    extensionProviders.flatMap(({ envoyExtAuthzHttp: http }) => http === null ? [] : hostOf(http.service)),
  );
}

/** Of `NAMESPACE/HOST`; a host is one service here. */
function hostOf(service: string): string {
  return service.slice(service.indexOf("/") + 1).toLowerCase();
}
