import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeOnePem, decodePem, encodePem } from "../../../src/identity/pem.ts";

describe("PEM", () => {
  test("decodePem() reads back what encodePem() wrote, among other text", () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 });
    fc.assert(fc.property(bytes, bytes, (one, two) => {
      const text = `a comment\n${encodePem("CERTIFICATE", one)}\r\nmore\n${encodePem("PRIVATE KEY", two)}`;
      expect(decodePem(text)).toEqual([
        { label: "CERTIFICATE", der: new Uint8Array(one) },
        { label: "PRIVATE KEY", der: new Uint8Array(two) },
      ]);
    }));
  });

  test("encodePem() breaks lines at 64 characters", () => {
    const lines = encodePem("CERTIFICATE", new Uint8Array(49)).split("\n");
    expect(lines.map((line) => line.length)).toEqual([27, 64, 4, 25, 0]);
  });

  test("decodePem() refuses blocks that are cut off, empty, not base64 or oddly named", () => {
    const whole = encodePem("CERTIFICATE", new Uint8Array(60));
    const odd = [
      whole.slice(0, -5),
      whole.slice(0, 20),
      whole.replace("AAAA", "A*AA"),
      "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
      whole.replaceAll("CERTIFICATE", "certificate"),
      whole.replace("END CERTIFICATE", "END PRIVATE KEY"),
    ];
    for (const text of odd) {
      expect(() => decodePem(text)).toThrow(expect.objectContaining({ code: "pem_malformed" }));
    }
  });

  test("decodeOnePem() wants exactly one block of the label", () => {
    const one = encodePem("CERTIFICATE", new Uint8Array(3));
    expect(decodeOnePem(one, "CERTIFICATE")).toEqual(new Uint8Array(3));
    const odd: readonly (readonly [string, string])[] = [
      ["", "nothing"],
      [one + one, "CERTIFICATE and CERTIFICATE"],
      [encodePem("PRIVATE KEY", new Uint8Array(3)), "PRIVATE KEY"],
    ];
    for (const [text, found] of odd) {
      expect(() => decodeOnePem(text, "CERTIFICATE")).toThrow(
        `The PEM holds ${found} instead of one CERTIFICATE`,
      );
    }
  });

  test("decodePem() takes time in proportion to the text", () => {
    const start = performance.now();
    expect(() => decodePem("-----BEGIN A-----".repeat(50_000))).toThrow();
    expect(performance.now() - start).toBeLessThan(1000);
  });
});
