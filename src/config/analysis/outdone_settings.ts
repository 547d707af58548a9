/** BOW0057: settings that another one beside them makes void. */
import { CODES } from "../codes.ts";
import { type Analyzer, isWritten, warning } from "./analyzer.ts";
import { policies } from "./policies.ts";

const LOCALITY_SETTINGS = ["distribute", "failover", "failoverPriority"] as const;

export const outdoneSettings: Analyzer = function* (resources) {
  for (const { resource, path, policy } of policies(resources)) {
    if ("retryBudget" in policy && policy.retryBudget !== null) {
      const at = [...path, "connectionPool", "http", "maxRetries"];
      if (policy.connectionPool !== null && isWritten(resource, at)) {
        const message = "retryBudget beside it says how many retries there may be";
        yield warning(CODES.settingOutdone, resource, at, message, "remove one of them");
      }
    }
    const locality = policy.loadBalancer?.localityLbSetting ?? null;
    if (locality === null || locality.enabled !== false) continue;
    const idle = LOCALITY_SETTINGS.find((field) => locality[field].length > 0);
    if (idle === undefined) continue;
    const at = [...path, "loadBalancer", "localityLbSetting", idle];
    yield warning(CODES.settingOutdone, resource, at, "enabled: false beside it switches it off", null);
  }
};
