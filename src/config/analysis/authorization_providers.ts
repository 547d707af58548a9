/** IST0101 for whom policies ask: a provider that MeshConfig has not, or one whose service nothing defines. */
import { nearest } from "../../lib/edit_distance.ts";
import { CODES } from "../codes.ts";
import { type Analyzer, warning } from "./analyzer.ts";

export const authorizationProviders: Analyzer = function* ({ meshConfigs, authorizationPolicies }, hosts) {
  const [mesh] = meshConfigs;
  const providers = mesh?.spec.extensionProviders ?? [];
  const names = providers.flatMap(({ name, envoyExtAuthzHttp }) => envoyExtAuthzHttp === null ? [] : name);
  for (const policy of authorizationPolicies) {
    const name = policy.spec.provider?.name;
    if (name === undefined || names.includes(name)) continue;
    const meant = nearest(name, names);
    yield warning(
      CODES.referenceNotFound,
      policy,
      ["spec", "provider", "name"],
      `no MeshConfig has a provider ${name} with envoyExtAuthzHttp: what the rules match is denied`,
      meant === undefined ? "add it to extensionProviders" : `did you mean "${meant}"?`,
    );
  }
  for (const [index, { name, envoyExtAuthzHttp: http }] of providers.entries()) {
    if (mesh === undefined || http === null) continue;
    const host = http.service.slice(http.service.indexOf("/") + 1);
    const ports = hosts.portsOf(host);
    if (ports?.includes(http.port)) continue;
    const what = ports === undefined ? "no service is called so" : `it has no port ${http.port}`;
    const effect = http.failOpen
      ? "everything that it would be asked about passes"
      : "what it would be asked about is denied";
    yield warning(
      CODES.referenceNotFound,
      mesh,
      ["spec", "extensionProviders", index, "envoyExtAuthzHttp", ports === undefined ? "service" : "port"],
      `the provider ${name} is at ${host}, and ${what}: ${effect}`,
      ports === undefined ? "write the service's full name" : `use ${ports.join(" or ")}`,
    );
  }
};
