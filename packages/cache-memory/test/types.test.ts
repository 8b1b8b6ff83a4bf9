import type { SyncCache } from "@larder/cache-core";
import { describe, expectTypeOf, it } from "vitest";
import { MemoryCache } from "../src/index.ts";

describe("types", () => {
  it("answer at once, with the value's type or undefined", () => {
    const cache = new MemoryCache<{ readonly id: number }>();
    expectTypeOf(cache).toExtend<SyncCache<{ readonly id: number }>>();
    expectTypeOf(cache.get("key")).toEqualTypeOf<{ readonly id: number } | undefined>();
    expectTypeOf(cache.getMany(["key"])).toEqualTypeOf<Array<{ readonly id: number } | undefined>>();
    expectTypeOf(cache.set).returns.toEqualTypeOf<boolean>();
    expectTypeOf(cache.entries()).toEqualTypeOf<IterableIterator<[key: string, value: { readonly id: number }]>>();
  });

  it("refuse a value of another type, and words where a number is wanted", () => {
    const cache = new MemoryCache<number>();
    // @ts-expect-error a string is no number
    cache.set("key", "text");
    // @ts-expect-error bounds are numbers
    const create = (): unknown => new MemoryCache<number>({ maxEntries: "10" });
    expectTypeOf(create).toBeFunction();
  });
});
