import { describe, expect, it } from "vitest";
import { type MemoryContender, ownContenders } from "../contenders/memory-contenders.ts";
import { batchesOf } from "./memory.ts";
import { memoryKey } from "./memory-keys.ts";

const KEYS = [0, 1, 2].map(memoryKey);

/** One batch of gets over what was set before. */
function readAll(contender: MemoryContender): unknown {
  const cache = contender.create(KEYS.length);
  for (const key of KEYS) cache.set(key, { role: "assistant" });
  const { prepare, batch } = batchesOf(contender, cache, "get", () => KEYS);
  void prepare?.(KEYS.length);
  return batch(KEYS.length);
}

describe("reads of caches in memory", () => {
  it.each(ownContenders.map((contender) => [contender.name, contender] as const))("finds all that it was given: %s", (_, contender) => {
    expect(readAll(contender)).toBe(KEYS.length);
  });

  it("are no figure of a cache that keeps nothing, which would be the quickest", () => {
    const nothing: MemoryContender = { name: "nothing", role: "peer", create: () => ({ get: () => undefined, set: () => {} }) };
    expect(() => readAll(nothing)).toThrow("nothing: 3 of 3 gets were misses");
  });
});
