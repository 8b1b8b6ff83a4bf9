import { createCounters } from "@larder/cache-core";
import { ManualClock } from "@larder/cache-testing";
import { describe, expect, it } from "vitest";
import { EntryStore } from "./entry-store.ts";
import { type MemoryCacheOptions, resolveOptions } from "./options.ts";
import { RemovalNotifier } from "./removal.ts";

function createStore(options: MemoryCacheOptions<number>): EntryStore<number> {
  return new EntryStore<number>({
    options: resolveOptions(options),
    counters: createCounters(),
    removals: new RemovalNotifier<number>("test", undefined),
  });
}

describe("the slots of a store", () => {
  const drops: ReadonlyArray<readonly [string, (store: EntryStore<number>, slot: number, index: number) => void]> = [
    ["deleted", (store, slot) => store.remove(slot, "explicit")],
    ["evicted", () => {}],
    ["deleted now, evicted then", (store, slot, index) => (index % 3 === 0 ? store.remove(slot, "explicit") : undefined)],
  ];
  it.each(drops)("are used again, whatever number of entries is %s", (_, drop) => {
    const store = createStore({ maxEntries: 100, clock: new ManualClock() });
    for (let index = 0; index < 20_000; index += 1) {
      store.put(`key:${index}`, index, 0, Number.POSITIVE_INFINITY, 0, 0);
      drop(store, store.index.find(`key:${index}`) as number, index);
    }
    expect(store.size).toBeLessThanOrEqual(100);
    // Slots that were emptied wait for their turn in the policy's queues: for as many again at most.
    expect(store.columns.used).toBeLessThanOrEqual(200);
  });

  it("are used again when large entries go for small ones, and small ones for large", () => {
    const store = createStore({ maxBytes: 1_000, sizeOf: () => 1, clock: new ManualClock() });
    for (let index = 0; index < 20_000; index += 1) {
      store.put(`key:${index}`, index, index % 50 === 0 ? 900 : 10, Number.POSITIVE_INFINITY, 0, 0);
      if (store.bytes > 1_000) throw new Error(`${store.bytes} bytes`);
    }
    expect(store.columns.used).toBeLessThanOrEqual(200);
  });
});
