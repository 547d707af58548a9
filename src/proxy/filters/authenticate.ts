/** The step before policies and routes: a request's token is verified, and says who it is for them. */
import type { Edge } from "../../telemetry/edge_metrics.ts";
import type { RequestHead } from "../exchange.ts";
import type { TokenCheck } from "../jwt/token_check.ts";
import type { HttpExchange } from "./http_exchange.ts";

/** Answers the request if its token does not hold; else goes on, at once unless something has to be waited for. */
export function authenticate(
  tokens: TokenCheck,
  exchange: HttpExchange,
  head: RequestHead,
  edge: Edge,
  goOn: () => void,
): void {
  const refusal = tokens.check(head);
  if (refusal === null) goOn();
  else if (!(refusal instanceof Promise)) exchange.reply(refusal, edge);
  else {
    exchange.waitFor(refusal, edge, (known) => {
      if (known === null) goOn();
      else exchange.reply(known, edge);
    });
  }
}
