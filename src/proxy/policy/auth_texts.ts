/** What a verified token says of an attribute, as policies ask for it. */
import { claimTexts, type RequestAuth } from "../jwt/request_auth.ts";

/** `name` is JSON: the attribute, and of `request.auth.claims` the keys behind it. */
export function authTexts(name: string): (auth: RequestAuth) => readonly string[] {
  const [attribute, ...claim] = JSON.parse(name) as readonly string[];
  switch (attribute) {
    case "request.auth.principal":
      return ({ principal }) => [principal];
    case "request.auth.audiences":
      return ({ audiences }) => audiences;
    case "request.auth.presenter":
      return ({ presenter }) => [presenter];
    default:
      return (auth) => claimTexts(auth, claim);
  }
}
