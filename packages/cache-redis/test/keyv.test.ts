import suite from "@keyv/test-suite";
import { CacheOverKeyv, KeyvStore } from "@larder/cache-core/keyv";
import { describeCache } from "@larder/cache-testing";
import Keyv from "keyv";
import * as testApi from "vitest";
import { v8Codec } from "../src/index.ts";
import { openCache } from "./support.ts";

// Keyv's own suite judges RedisCache below its adapter: it takes vitest's namespace and a store per call, and clears it before each test.
type SuiteArguments = Parameters<typeof suite>;
const cache = await openCache({ codec: v8Codec(), timeoutMs: 1_000, writeTimeoutMs: 1_000 });
testApi.afterAll(() => cache.close());
suite(testApi as unknown as SuiteArguments[0], Keyv as unknown as SuiteArguments[1], (() => new KeyvStore(cache)) as SuiteArguments[2]);

describeCache("CacheOverKeyv on a Keyv over RedisCache", {
  create: async ({ ttlMs }) => {
    const keyv = new Keyv({ store: new KeyvStore(await openCache({ timeoutMs: 1_000, writeTimeoutMs: 1_000 })) });
    return new CacheOverKeyv<unknown>(keyv, ttlMs === undefined ? {} : { ttlMs });
  },
  advance: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  lacks: [{ capability: "size", reason: "Keyv does not count" }],
  testApi,
});
