import suite, { keyvIteratorTests } from "@keyv/test-suite";
import { CacheOverKeyv, KeyvStore } from "@larder/cache-core/keyv";
import { describeCache, ManualClock } from "@larder/cache-testing";
import Keyv from "keyv";
import * as testApi from "vitest";
import { MemoryCache } from "../src/index.ts";

// Keyv's own suite judges the adapter: it takes vitest's namespace and a store per call.
type SuiteArguments = Parameters<typeof suite>;
const createStore = (): unknown => new KeyvStore(new MemoryCache<unknown>({ maxEntries: 10_000 }));
suite(testApi as unknown as SuiteArguments[0], Keyv as unknown as SuiteArguments[1], createStore as SuiteArguments[2]);
keyvIteratorTests(testApi as unknown as SuiteArguments[0], Keyv as unknown as SuiteArguments[1], createStore as SuiteArguments[2]);

const clock = new ManualClock();

describeCache("CacheOverKeyv on a Keyv over MemoryCache", {
  create: ({ ttlMs }) => {
    const keyv = new Keyv({ store: new KeyvStore(new MemoryCache<unknown>({ clock })) });
    return new CacheOverKeyv<unknown>(keyv, { clock, ...(ttlMs === undefined ? {} : { ttlMs }) });
  },
  advance: (ms) => clock.advance(ms),
  lacks: [{ capability: "size", reason: "Keyv does not count" }],
  testApi,
});
