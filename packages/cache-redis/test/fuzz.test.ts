import { uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, expect, test } from "vitest";
import { bytesCodec, jsonCodec, RedisCache, type ValueCodec, v8Codec } from "../src/index.ts";
import { call, redisUrl } from "./support.ts";

/** Cases a codec: 10^5 in CI's own step (`.ci/run`, `fuzz`), so many that the default suite stays quick otherwise. */
const CASES = Number(process.env.LARDER_FUZZ_CASES ?? 3_000);
/** A bound for a run that hangs, in milliseconds: a case takes a tenth of one. */
const TIMEOUT_MS = 20_000 + CASES * 5;
const client = new Redis(redisUrl);
afterAll(() => client.disconnect());

/** A small generator of repeatable randomness (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What may stand under a key instead of its entry. */
function spoil(entry: Buffer, random: () => number): Buffer {
  const below = (bound: number): number => Math.floor(random() * bound);
  const bytes = Buffer.from(entry);
  switch (below(8)) {
    case 0: // one bit
      bytes[below(bytes.length)]! ^= 1 << below(8);
      return bytes;
    case 1: // some bytes
      for (let count = 1 + below(8); count > 0; count -= 1) bytes[below(bytes.length)] = below(256);
      return bytes.equals(entry) ? Buffer.alloc(0) : bytes;
    case 2: // cut short
      return bytes.subarray(0, below(bytes.length));
    case 3: // too long
      return Buffer.concat([bytes, Buffer.alloc(1 + below(50), below(256))]);
    case 4: // random bytes
      return Buffer.from(Array.from({ length: below(300) }, () => below(256)));
    case 5: // the header stands, lengths are wild
      bytes.writeUInt32BE(below(2 ** 32), 8 + 4 * below(2));
      return bytes.equals(entry) ? Buffer.alloc(0) : bytes;
    case 6: // what other libraries write
      return Buffer.from(['{"value":"other","expires":null}', "null", '"text"', "42", "[1,2]", "", "{"][below(7)] as string);
    default: // the right bytes in the wrong order
      return bytes.reverse();
  }
}

const codecs: Readonly<Record<string, ValueCodec<unknown>>> = {
  bytes: bytesCodec as ValueCodec<unknown>,
  json: jsonCodec(),
  v8: v8Codec(),
};

for (const [name, codec] of Object.entries(codecs)) {
  test(`${CASES} spoiled entries under a ${name} cache: none is thrown, none is returned, each is overwritten`, {
    timeout: TIMEOUT_MS,
  }, async () => {
    const keyPrefix = uniquePrefix("fuzz");
    const cache = new RedisCache<unknown>({
      client,
      namespace: "test",
      keyPrefix,
      codec,
      maxInFlight: 10_000,
      timeoutMs: 5_000,
      writeTimeoutMs: 5_000,
    });
    await cache.ready();
    const random = generator(20_261_121);
    const value = name === "bytes" ? Buffer.from("the value") : { text: "the value" };
    const redisKey = (index: number): string => `${keyPrefix}:{test.0}:v:${index}`;
    const batch = 500;
    for (let start = 0; start < CASES; start += batch) {
      const keys = Array.from({ length: Math.min(batch, CASES - start) }, (_, index) => index);
      // Under another key the owner alone would refuse it: so each case spoils an entry of its own key.
      await Promise.all(keys.map((key) => cache.set(String(key), value, { tags: ["red"] })));
      const originals = await Promise.all(keys.map((key) => client.getBuffer(redisKey(key))));
      await Promise.all(keys.map((key, index) => client.set(redisKey(key), spoil(originals[index] as Buffer, random))));
      const found = await Promise.all(keys.map((key) => cache.get(String(key))));
      // A flip in the 12 ignored bits does not exist: every byte of an entry is covered by checksum, epoch or repetition.
      expect(found.filter((each) => each !== undefined)).toEqual([]);
      const read = await Promise.all(keys.map((key) => cache.read(String(key), call())));
      expect(read.every((each) => each === undefined)).toBe(true);
    }
    expect(await cache.set("1", value)).toBe(true);
    expect(await cache.get("1")).toEqual(value);
    await cache.clear();
    await cache.close();
  });
}
