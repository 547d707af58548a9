/** How commands show what is wrong with files. */
import type { Finding, Severity } from "../config/finding.ts";
import { formatFinding } from "../config/format_finding.ts";
import { printable, printMessage, type Style, styled } from "./output.ts";

export const SEVERITY_STYLES: Readonly<Record<Severity, Style>> = {
  error: "red",
  warning: "yellow",
  info: "dim",
};

/** A line for each, on standard error. */
export function printFindings(findings: readonly Finding[]): void {
  for (const finding of findings) {
    const { severity } = finding;
    const coloured = styled("stderr", SEVERITY_STYLES[severity], severity);
    printMessage(printable(formatFinding(finding)).replace(`: ${severity} `, () => `: ${coloured} `));
  }
}
