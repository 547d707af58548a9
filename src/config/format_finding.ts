/** A finding as people read it, one line, in the form that editors and terminals make a link of. */
import type { Finding } from "./finding.ts";

/** `FILE:LINE:COLUMN: SEVERITY CODE RESOURCE: FIELD: MESSAGE; HINT`, without the parts that are null. */
export function formatFinding(finding: Finding): string {
  const { file, line, column, severity, code, resource, field, message, hint } = finding;
  const where = [resource, field].filter((part) => part !== null).map((part) => `${part}: `).join("");
  const subject = where === "" ? `${code}: ` : `${code} ${where}`;
  return `${file}:${line}:${column}: ${severity} ${subject}${message}${hint === null ? "" : `; ${hint}`}`;
}
