/** The rule that Service and ServiceEntry share: ports of one service differ in number and in name. */
import * as v from "valibot";
import { wrong } from "./problem.ts";

/**
 * Refuses a second port with the same number or the same name, and ports without a name beside others.
 * `numberField` is what the kind calls the number.
 */
export function distinctPorts<Port extends { name: string }>(numberField: keyof Port & string) {
  return v.rawCheck<Port[]>(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const seen = new Set<unknown>();
    const refuse = (index: number, field: string, message: string) =>
      addIssue({
        message: wrong(message),
        path: [
          { type: "array", origin: "value", input: dataset.value, key: index, value: dataset.value[index] },
          { type: "object", origin: "value", input: {}, key: field, value: undefined },
        ],
      });
    for (const [index, port] of dataset.value.entries()) {
      const number = port[numberField];
      if (seen.has(number)) refuse(index, numberField, `the port ${String(number)} is defined twice`);
      if (port.name === "" && dataset.value.length > 1) {
        refuse(index, "name", "each of several ports needs a name");
      } else if (seen.has(port.name)) refuse(index, "name", `the port name "${port.name}" is used twice`);
      seen.add(number).add(port.name);
    }
  });
}
