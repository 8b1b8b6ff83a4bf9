import { type StoredEntry, systemClock, TieredCache } from "@larder/cache-core";
import { NaiveCache, uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, describe, expect, test } from "vitest";
import { encodedBodyCodec } from "../src/encoded-body.ts";
import { bytesCodec, type ValueCodec, v8Codec } from "../src/index.ts";
import { openCache, redisUrl } from "./support.ts";

const client = new Redis(redisUrl);
afterAll(() => client.disconnect());

const KEYS = Array.from({ length: 40 }, (_, index) => `key:${index}:`);
const KILOBYTE = 1_024;
/** What a value of that size may keep alive: a reply may come in small parts, and is then no waste. */
const MOST_KEPT = 9 * KILOBYTE;
/** Bytes of an entry between its owner and a value, and some more. */
const HEAD_BYTES = 32;

type Kind = readonly [name: string, codec: ValueCodec<unknown>, create: () => unknown, bytesOf: (value: unknown) => Uint8Array];

const kinds: readonly Kind[] = [
  ["bytes", bytesCodec as ValueCodec<unknown>, () => Buffer.alloc(KILOBYTE, "a"), (value) => value as Buffer],
  [
    "encoded bodies",
    encodedBodyCodec as ValueCodec<unknown>,
    () => ({ bytes: Buffer.alloc(KILOBYTE, "a"), contentEncoding: "identity" }),
    (value) => (value as { bytes: Buffer }).bytes,
  ],
  ["typed arrays", v8Codec(), () => new Uint8Array(KILOBYTE), (value) => value as Uint8Array],
];

/** Whether a value lies where the reply put it: in an entry its key stands before it. */
function isWithinReply(key: string, { buffer, byteOffset }: Uint8Array): boolean {
  const from = Math.max(0, byteOffset - HEAD_BYTES);
  return Buffer.from(buffer, from, byteOffset - from).includes(key);
}

describe.each(kinds)("%s that came in one read of the socket", (_, codec, create, bytesOf) => {
  test("do not keep all of it alive where a first tier keeps them", async () => {
    const keyPrefix = uniquePrefix();
    const writer = await openCache<unknown>({ client, keyPrefix, codec });
    await writer.setMany(KEYS.map((key) => [key, create()]));
    const l1 = new NaiveCache<StoredEntry<unknown>>({ clock: systemClock });
    const l2 = await openCache<unknown>({ client, keyPrefix, codec });
    const tiered = new TieredCache<unknown>({ l1, l2, ttlMs: 60_000, backendBudgetMs: 2_000 });
    expect(await tiered.getMany(KEYS)).toEqual(KEYS.map(create));
    for (const key of KEYS) {
      const bytes = bytesOf(await tiered.get(key));
      expect(isWithinReply(key, bytes) && bytes.buffer.byteLength > MOST_KEPT).toBe(false);
    }
  });

  test("are not copied for whoever only reads them", async () => {
    const cache = await openCache<unknown>({ client, codec });
    await cache.setMany(KEYS.map((key) => [key, create()]));
    const values = await cache.getMany(KEYS);
    expect(values).toEqual(KEYS.map(create));
    for (const [index, key] of KEYS.entries()) expect(isWithinReply(key, bytesOf(values[index]))).toBe(true);
  });
});
