import { describe, expect, expectTypeOf, it } from "vitest";
import type { GetOrSetOptions, Loader, MaybePromise, ReadThroughCache, TieredCache } from "../src/index.ts";
import { type RequestSource, readRequest } from "../src/keys.ts";

interface User {
  readonly role: "reader" | "writer";
}

describe("types", () => {
  it("a loader that always gives a value never leaves its caller with undefined", () => {
    const find = (cache: TieredCache<User>): MaybePromise<User> => cache.getOrSet("user", async () => ({ role: "reader" }));
    expectTypeOf(find).returns.resolves.toExtend<User>();
    const count = (cache: ReadThroughCache<number>) => cache.getOrSet("count", () => 1, { tags: ["counts"] });
    expectTypeOf(count).returns.toEqualTypeOf<MaybePromise<number>>();
  });

  it("one that may give undefined does", () => {
    const find = (cache: TieredCache<number>, numbers: ReadonlyMap<string, number>) => cache.getOrSet("key", ({ key }) => numbers.get(key));
    expectTypeOf(find).returns.toEqualTypeOf<MaybePromise<number | undefined>>();
    const wrap = <V>(cache: TieredCache<V>, loader: Loader<V>, options: GetOrSetOptions) => cache.getOrSet("key", loader, options);
    expectTypeOf(wrap<string>).returns.toEqualTypeOf<MaybePromise<string | undefined>>();
  });

  it("refuse a loader of another type, and options that there are not", () => {
    const misuse = (cache: TieredCache<User>) => [
      // @ts-expect-error no such role
      cache.getOrSet("user", async () => ({ role: "owner" })),
      // @ts-expect-error it is ttlMs
      cache.getOrSet("user", async () => ({ role: "reader" }), { ttl: 60 }),
    ];
    expectTypeOf(misuse).toBeFunction();
  });

  it("a request may be of a client's type, which is an interface", () => {
    interface ClientsRequest {
      readonly model: string;
      readonly temperature?: number;
    }
    const request: ClientsRequest = { model: "small" };
    expect(readRequest("chat", request).model).toBe("small");
    expectTypeOf<string>().not.toExtend<RequestSource>();
    // What no compiler can tell apart is refused when it is read.
    for (const odd of [[], new Map(), new Date(0), () => {}]) expect(() => readRequest("chat", odd)).toThrow("ERR_CACHE_INVALID_REQUEST");
  });
});
