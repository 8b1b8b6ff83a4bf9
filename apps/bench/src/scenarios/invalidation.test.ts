import { expect, it } from "vitest";
import { deliveryOf } from "./invalidation.ts";

it.each([
  ["gone a while after the call", 12, 12.5, 2],
  ["found gone by a poll that was under way at the call", 9, 10.5, 0],
  ["gone before the call, for another reason", 8, 9, "early"],
  ["never gone", null, null, "never"],
] as const)("takes a value that is %s for what it is", (_, goneAt, knownAt, delivery) => {
  expect(deliveryOf({ goneAt, knownAt }, 10)).toBe(delivery);
});
