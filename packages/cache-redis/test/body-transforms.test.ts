import { randomBytes } from "node:crypto";
import { uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, describe, expect, test } from "vitest";
import { createBodyEncoding, createCompression } from "../src/compression.ts";
import { bytesCodec, type RedisCacheOptions } from "../src/index.ts";
import { createSealing, type SealingKey } from "../src/sealing.ts";
import { openCache, redisUrl } from "./support.ts";

const client = new Redis(redisUrl);
afterAll(() => client.disconnect());

const prose = "The quick brown fox jumps over the lazy dog. ".repeat(400);
const key = (id: string): SealingKey => ({ id, secret: randomBytes(32) });

test.each([
  ["createCompression", "threshold", () => createCompression({ threshold: 100 } as object)],
  ["createBodyEncoding", "level", () => createBodyEncoding({ level: 9 } as object)],
  ["createSealing", "previuos", () => createSealing({ current: key("k"), previuos: [key("j")] } as { current: SealingKey })],
])("%s refuses an option that there is not: %s", (_, name, make) => {
  expect(make).toThrow(new RegExp(`ERR_CACHE_INVALID_OPTION.*the name of an option must be one of .*, got the string "${name}"`));
});

describe("compression", () => {
  test.each(["auto", "gzip", "brotli"] as const)("by %s makes long text smaller and gives it back", async (method) => {
    const keyPrefix = uniquePrefix();
    const cache = await openCache<string>({ client, keyPrefix, compression: createCompression({ method }) });
    await cache.set("key", prose);
    expect(await client.strlen(`${keyPrefix}:{test.0}:v:key`)).toBeLessThan(prose.length / 4);
    expect(await cache.get("key")).toBe(prose);
  });

  test("leaves short and random bodies as they are", async () => {
    const keyPrefix = uniquePrefix();
    const cache = await openCache<Buffer>({ client, keyPrefix, codec: bytesCodec, compression: createCompression() });
    for (const body of [Buffer.from("short"), randomBytes(20_000)]) {
      await cache.set("key", body);
      expect(await client.strlen(`${keyPrefix}:{test.0}:v:key`)).toBeGreaterThanOrEqual(body.length);
      expect(await cache.get("key")).toEqual(body);
    }
  });

  test("refuses a body that would fill the memory when it is read", async () => {
    const bomb = createCompression({ method: "gzip" }).compress(Buffer.alloc(5_000_000)) as Buffer;
    expect(() => createCompression({ maxOutputBytes: 1_000_000 }).decompress(bomb)).toThrow();
    expect(() => createCompression().decompress(Buffer.from([9, 1, 2]))).toThrow(/method/);
    expect(() => createCompression().decompress(Buffer.alloc(0))).toThrow(/method/);
  });

  test("leaves alone what it would refuse to read, and reads everything where nothing is too much", async () => {
    const body = Buffer.alloc(5_000);
    expect(createCompression({ maxOutputBytes: 4_000 }).compress(body)).toBe(undefined);
    const unbounded = createCompression({ maxOutputBytes: Infinity });
    expect(unbounded.decompress(unbounded.compress(body) as Buffer)).toEqual(body);
  });

  test("of one process is a miss for another that has none", async () => {
    const keyPrefix = uniquePrefix();
    const writer = await openCache<string>({ client, keyPrefix, compression: createCompression() });
    const reader = await openCache<string>({ client, keyPrefix });
    await writer.set("key", prose);
    expect(await reader.get("key")).toBe(undefined);
    expect(reader.stats().refusedEntries.codec).toBe(1);
    await reader.set("key", prose);
    expect(await writer.get("key")).toBe(prose);
  });
});

describe("sealing", () => {
  const secret = "sk-CANARY-this-is-a-credential";

  async function sealed(options: Partial<RedisCacheOptions<string>> & { current: SealingKey; previous?: readonly SealingKey[] }) {
    const { current, previous, ...others } = options;
    return openCache<string>({ client, sealing: createSealing(previous ? { current, previous } : { current }), ...others });
  }

  test("hides the value from Redis and gives it back, compressed as well", async () => {
    const keyPrefix = uniquePrefix();
    const cache = await sealed({ keyPrefix, current: key("2026-11"), compression: createCompression() });
    await cache.set("key", secret + prose);
    const stored = (await client.getBuffer(`${keyPrefix}:{test.0}:v:key`)) as Buffer;
    expect(stored.includes("CANARY")).toBe(false);
    expect(stored.length).toBeLessThan(prose.length / 4);
    expect(await cache.get("key")).toBe(secret + prose);
  });

  test("rotates: older entries are read by a previous key until it is taken away", async () => {
    const keyPrefix = uniquePrefix();
    const [old, next] = [key("old"), key("next")];
    const before = await sealed({ keyPrefix, current: old });
    await before.set("key", secret);
    const during = await sealed({ keyPrefix, current: next, previous: [old] });
    expect(await during.get("key")).toBe(secret);
    await during.set("newer", secret);
    const after = await sealed({ keyPrefix, current: next });
    expect(await after.getMany(["key", "newer"])).toEqual([undefined, secret]);
    expect(after.stats().refusedEntries.sealing).toBe(1);
    expect(await before.get("newer")).toBe(undefined);
  });

  test("opens under no other key, no other tenant, and not after a byte was changed", async () => {
    const keyPrefix = uniquePrefix();
    const current = key("k");
    const a = await sealed({ keyPrefix, namespace: "tenant-a", current });
    const b = await sealed({ keyPrefix, namespace: "tenant-b", current });
    const sealing = createSealing({ current });
    const body = sealing.seal(Buffer.from(secret), Buffer.from("tenant-a key"));
    expect(sealing.open(Buffer.from(body), Buffer.from("tenant-a key")).toString()).toBe(secret);
    expect(() => sealing.open(Buffer.from(body), Buffer.from("tenant-b key"))).toThrow();
    for (let at = 0; at < body.length; at += 1) {
      const spoiled = Buffer.from(body);
      spoiled[at] = (spoiled[at] as number) ^ 1;
      expect(() => sealing.open(spoiled, Buffer.from("tenant-a key")), `byte ${at}`).toThrow();
      expect(() => sealing.open(Buffer.from(body.subarray(0, at)), Buffer.from("tenant-a key")), `cut at ${at}`).toThrow();
    }
    await a.set("key", secret);
    await client.copy(`${keyPrefix}:{tenant-a.0}:v:key`, `${keyPrefix}:{tenant-b.0}:v:key`);
    expect(await b.get("key")).toBe(undefined);
  });

  test("a cache that seals takes nothing that is not sealed, and never the other way round", async () => {
    const keyPrefix = uniquePrefix();
    const open = await openCache<string>({ client, keyPrefix });
    const closed = await sealed({ keyPrefix, current: key("k") });
    await open.set("key", "planted");
    expect(await closed.get("key")).toBe(undefined);
    await closed.set("key", secret);
    expect(await open.get("key")).toBe(undefined);
  });

  test("never uses an IV twice", () => {
    const sealing = createSealing({ current: key("k") });
    const ivs = new Set(
      Array.from({ length: 20_000 }, () => Buffer.from(sealing.seal(Buffer.from("x"), Buffer.alloc(0))).toString("hex", 2, 14)),
    );
    expect(ivs.size).toBe(20_000);
  });

  test("refuses keys that are none, without quoting them", () => {
    const short = { id: "k", secret: Buffer.from("CANARY-too-short") };
    expect(() => createSealing({ current: short })).toThrow(/32 bytes/);
    expect(() => createSealing({ current: short })).not.toThrow(/CANARY/);
    expect(() => createSealing({ current: { ...key("k"), id: "" } })).toThrow(/id/);
    const twice = key("k");
    expect(() => createSealing({ current: twice, previous: [twice] })).toThrow(/of its own/);
    for (const none of [undefined, null])
      expect(() => createSealing({ current: none as unknown as SealingKey })).toThrow(/ERR_CACHE_INVALID_OPTION.*id of a sealing key/);
    expect(() => createSealing({ current: twice, previous: key("j") as unknown as SealingKey[] })).toThrow(/previous must be an array/);
  });
});
