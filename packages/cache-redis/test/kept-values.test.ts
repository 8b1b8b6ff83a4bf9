import { type StoredEntry, systemClock, TieredCache } from "@larder/cache-core";
import { NaiveCache, uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, describe, expect, test } from "vitest";
import { encodedBodyCodec } from "../src/encoded-body.ts";
import { bytesCodec, type ValueCodec, v8Codec } from "../src/index.ts";
import { openCache, redisUrl } from "./support.ts";

const client = new Redis(redisUrl);
afterAll(() => client.disconnect());

const KEYS = Array.from({ length: 40 }, (_, index) => `key:${index}`);
const KILOBYTE = 1_024;
/** What Node puts small buffers into. */
const POOL_BYTES = Buffer.poolSize;

/** Values of some kilobyte each, and the buffer that one of them hangs on to. */
const kinds: ReadonlyArray<
  readonly [name: string, codec: ValueCodec<never>, create: () => unknown, bufferOf: (value: never) => ArrayBuffer]
> = [
  ["bytes", bytesCodec as ValueCodec<never>, () => Buffer.alloc(KILOBYTE, "a"), (value: Buffer) => value.buffer as ArrayBuffer],
  [
    "encoded bodies",
    encodedBodyCodec as ValueCodec<never>,
    () => ({ bytes: Buffer.alloc(KILOBYTE, "a"), contentEncoding: "identity" }),
    (value: { bytes: Buffer }) => value.bytes.buffer as ArrayBuffer,
  ],
  ["typed arrays", v8Codec<never>(), () => new Uint8Array(KILOBYTE), (value: Uint8Array) => value.buffer as ArrayBuffer],
];

describe.each(kinds)("%s that came in one read of the socket", (_, codec, create, bufferOf) => {
  test("do not keep all of it alive where a first tier keeps them", async () => {
    const keyPrefix = uniquePrefix();
    const writer = await openCache<unknown>({ client, keyPrefix, codec });
    await writer.setMany(KEYS.map((key) => [key, create()]));
    const l1 = new NaiveCache<StoredEntry<unknown>>({ clock: systemClock });
    const l2 = await openCache<unknown>({ client, keyPrefix, codec });
    const tiered = new TieredCache<unknown>({ l1, l2, ttlMs: 60_000, backendBudgetMs: 2_000 });
    expect(await tiered.getMany(KEYS)).toEqual(KEYS.map(create));
    for (const key of KEYS) expect(bufferOf((await tiered.get(key)) as never).byteLength).toBeLessThanOrEqual(2 * POOL_BYTES);
  });

  test("are not copied for whoever only reads them", async () => {
    const cache = await openCache<unknown>({ client, codec });
    await cache.setMany(KEYS.map((key) => [key, create()]));
    const values = await cache.getMany(KEYS);
    expect(values).toEqual(KEYS.map(create));
    const buffers = new Set(values.map((value) => bufferOf(value as never)));
    expect(buffers.size).toBeLessThan(KEYS.length / 2);
    expect(Math.max(...[...buffers].map((buffer) => buffer.byteLength))).toBeGreaterThan(2 * POOL_BYTES);
  });
});
