/** The small values that several kinds share: ports, names, labels, hosts, addresses, exportTo. */
import * as v from "valibot";
import { isPort, PORT_MAX } from "../../model/ports.ts";
import { isHostName, isWildcardHost } from "../host.ts";
import { across } from "./across.ts";
import { fields, list, map, type Schema } from "./fields.ts";
import { wrong } from "./problem.ts";

/** Kubernetes: the length of a DNS-1123 label, and of a label's value. */
export const LABEL_LENGTH_MAX = 63;

/** Kubernetes: the length of a DNS-1123 subdomain. */
export const SUBDOMAIN_LENGTH_MAX = 253;

const DNS_LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
const LABEL_NAME = /^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/;
const PORT_NAME = /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$/;
const CIDR = /^(.+)\/(\d{1,3})$/;

/** 1 to 65535. */
export const portNumber: Schema<number> = v.pipe(
  v.number(),
  v.check(
    (port) => isPort(port),
    wrong(`a port is a whole number from 1 to ${PORT_MAX}`),
  ),
);

/** Where Istio writes a port as text. */
export function isPortText(text: string): boolean {
  return /^[1-9][0-9]{0,4}$/.test(text) && isPort(Number(text));
}

/** A DNS-1123 label: lower-case letters, digits and `-`. */
export const dnsLabel: Schema<string> = v.pipe(
  v.string(),
  v.check(
    (name) => name.length <= LABEL_LENGTH_MAX && DNS_LABEL.test(name),
    wrong(
      `a name is 1 to ${LABEL_LENGTH_MAX} lower-case letters, digits and "-", with a letter or digit at both ends`,
    ),
  ),
);

/** A DNS-1123 subdomain: DNS labels with dots between them. */
export const subdomain: Schema<string> = v.pipe(
  v.string(),
  v.check(
    (name) => name.length <= SUBDOMAIN_LENGTH_MAX && SUBDOMAIN.test(name),
    wrong(
      `a name is 1 to ${SUBDOMAIN_LENGTH_MAX} lower-case letters, digits, "-" and ".", with a letter or digit at both ends`,
    ),
  ),
);

const labelValue: Schema<string> = v.pipe(
  v.string(),
  v.check(
    (value) => value === "" || (value.length <= LABEL_LENGTH_MAX && LABEL_NAME.test(value)),
    wrong(
      `a label's value is at most ${LABEL_LENGTH_MAX} letters, digits, "-", "_" and ".", with a letter or digit at both ends`,
    ),
  ),
);

const labelKey = v.pipe(
  v.string(),
  v.check(
    isLabelKey,
    wrong(
      `a label's key is at most ${LABEL_LENGTH_MAX} letters, digits, "-", "_" and ".", after an optional DNS prefix and "/"`,
    ),
  ),
);

/** Labels as Kubernetes has them; absent is none. */
export const labels = map(labelValue, labelKey);

/** A string that, left empty, is as if it were not there: protobuf cannot tell the two apart. */
export const text: Schema<string | null> = v.pipe(
  v.nullish(v.string(), null),
  v.transform((value) => value === "" ? null : value),
);

/** One of the names of an enumeration; `what` begins the hint: "a location". */
export function oneOf<const Names extends readonly string[]>(
  names: Names,
  what: string,
): Schema<Names[number]> {
  return v.picklist(names, wrong(`{} is not ${what}; one of ${names.join(", ")}`));
}

/** The fields of Istio's message that some object wraps around a port's number. */
export const portSelector: Schema<number> = v.pipe(
  fields({ number: portNumber }),
  v.transform((port) => port.number),
);

/** A DNS name without a wildcard, in lower case. */
export const host: Schema<string> = v.pipe(
  v.string(),
  v.transform((name) => name.toLowerCase()),
  v.check((name) => !name.startsWith("*"), wrong("a wildcard host is not allowed here")),
  v.check((name) => name.startsWith("*") || isHost(name), wrong("{} is not a DNS name")),
);

/** A DNS name, `*.` and a DNS name, or `*`, in lower case. */
export const hostOrWildcard: Schema<string> = v.pipe(
  v.string(),
  v.transform((name) => name.toLowerCase()),
  v.check(
    (name) => isHost(name) || isWildcardHost(name),
    wrong("{} is not a DNS name", 'a wildcard stands in front and alone: "*.example.com"'),
  ),
);

/** IPv4 or IPv6. */
export const ipAddress: Schema<string> = v.pipe(
  v.string(),
  v.check(isIp, wrong("{} is not an IPv4 or IPv6 address")),
);

/** What endpoints and services call a port, as Istio has it. */
export const portName = v.pipe(
  v.string(),
  v.nonEmpty(wrong("a port needs a name")),
  v.check(
    (name) => name === "" || (name.length <= LABEL_LENGTH_MAX && PORT_NAME.test(name)),
    wrong(
      `a port's name is at most ${LABEL_LENGTH_MAX} letters, digits and "-", with a letter or digit at both ends`,
    ),
  ),
);

const UNIX = "unix://";

/** The address of a workload: IPv4 or IPv6, a DNS name, or `unix:///PATH`. */
export const workloadAddress: Schema<string> = v.pipe(
  v.string(),
  v.check(
    (text) => isIp(text) || isUnixAddress(text) || isDnsName(text),
    wrong("{} is not an IPv4 or IPv6 address, nor a DNS name"),
  ),
);

/** A path behind `unix://`; Linux' abstract names begin with `@`. */
export function isUnixAddress(text: string): boolean {
  return text.startsWith(UNIX) && /^(@.+|\/.*[^/])$/.test(text.slice(UNIX.length));
}

/** A DNS name that no one could have meant as an address. */
export function isDnsName(text: string): boolean {
  return isHostName(text.toLowerCase()) && /[a-z]/i.test(text);
}

/** An IP address, or a network as `10.0.0.0/8`. */
export const addressOrNetwork: Schema<string> = v.pipe(
  v.string(),
  v.check(
    (text) => isIp(text) || isNetwork(text),
    wrong('{} is neither an IP address nor a network such as "10.0.0.0/8"'),
  ),
);

/** Namespaces that see a resource: `*` all, `.` its own, `~` none, or names. Empty: as the mesh says, else all. */
export const exportTo: Schema<string[]> = v.pipe(
  list(v.pipe(
    v.string(),
    v.check(
      (name) => name === "*" || name === "." || name === "~" || DNS_LABEL.test(name),
      wrong('{} is neither "*" (all namespaces), "." (its own), "~" (none), nor the name of a namespace'),
    ),
  )),
  across(function* (names: string[]) {
    for (const [index, name] of names.entries()) {
      if (names.indexOf(name) < index) yield { message: wrong("{} is there twice"), at: [index] };
      else if (names.length > 1 && (name === "*" || name === "~")) {
        yield {
          message: wrong(`{} means ${name === "*" ? "all" : "none"}, and has others beside it`),
          at: [index],
        };
      }
    }
  }),
);

export function isIp(text: string): boolean {
  return v.IP_REGEX.test(text);
}

function isHost(name: string): boolean {
  return isHostName(name) || isIp(name);
}

function isNetwork(text: string): boolean {
  const [, address, bits] = CIDR.exec(text) ?? [];
  if (address === undefined || bits === undefined || !isIp(address)) return false;
  return Number(bits) <= (address.includes(":") ? 128 : 32);
}

function isLabelKey(key: string): boolean {
  const [name, prefix, ...rest] = key.split("/").reverse();
  if (name === undefined || rest.length > 0 || name.length > LABEL_LENGTH_MAX || !LABEL_NAME.test(name)) {
    return false;
  }
  return prefix === undefined || (prefix.length <= SUBDOMAIN_LENGTH_MAX && SUBDOMAIN.test(prefix));
}
