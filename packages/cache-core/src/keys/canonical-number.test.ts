import { expect, test } from "vitest";
import { canonicalNumber, survivesDouble } from "./canonical-number.ts";

test.each([
  ["0", "0"],
  ["-0", "0"],
  ["0.000e-7", "0"],
  ["-1.50", "-1.5"],
  ["100", "100"],
  ["1E30", "1e+30"],
  ["1e20", "100000000000000000000"],
  ["1e21", "1e+21"],
  ["123456789012345678901.5", "123456789012345678901.5"],
  ["1234567890123456789012.5", "1.2345678901234567890125e+21"],
  ["0.000001", "0.000001"],
  ["0.0000001", "1e-7"],
  ["0.00000010", "1e-7"],
  ["12e-8", "1.2e-7"],
  ["9007199254740993", "9007199254740993"],
  ["0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"],
  ["-1.0e+400", "-1e+400"],
])("%s is spelled %s", (token, canonical) => {
  expect(canonicalNumber(token)).toBe(canonical);
  expect(canonicalNumber(canonical)).toBe(canonical);
});

test.each(["", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "1.e1", "0x1", "1e1.5", "--1", "Infinity", "1_0"])(
  "%j is no number",
  (token) => {
    expect(() => canonicalNumber(token)).toThrow("ERR_CACHE_INVALID_REQUEST");
  },
);

test("an exponent of at most twelve digits, in the canonical form too, so that it can be read again", () => {
  expect(canonicalNumber("1e999999999999")).toBe("1e+999999999999");
  expect(canonicalNumber("0.01e-999999999997")).toBe("1e-999999999999");
  for (const token of ["1e1000000000000", "12e999999999999", "0.1e-999999999999"])
    expect(() => canonicalNumber(token)).toThrow("an exponent of more than 12 digits");
});

test("tells which numbers JSON.parse keeps", () => {
  const kept = ["0", "0.1", "9007199254740992", "1e-7", "1.7976931348623157e+308", "5e-324"];
  const lost = ["9007199254740993", "1e+400", "1e-400", "0.10000000000000001", "333333333.33333329"];
  expect(kept.filter((number) => !survivesDouble(number))).toEqual([]);
  expect(lost.filter(survivesDouble)).toEqual([]);
});
