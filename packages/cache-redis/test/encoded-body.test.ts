import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { runInNewContext } from "node:vm";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { systemClock, TieredCache } from "@larder/cache-core";
import { NaiveCache, uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, describe, expect, test } from "vitest";
import { createBodyEncoding, createCompression, type EncodedBody, encodedBodyCodec } from "../src/compression.ts";
import { createSealing } from "../src/sealing.ts";
import { openCache, redisUrl } from "./support.ts";

const client = new Redis(redisUrl);
afterAll(() => client.disconnect());

const prose = Buffer.from("The quick brown fox jumps over the lazy dog. ".repeat(400));
const undo = { gzip: gunzipSync, br: brotliDecompressSync } as const;

describe("an encoded body", () => {
  test.each([
    ["gzip", "gzip"],
    ["brotli", "br"],
  ] as const)("by %s comes back from Redis as it was stored, and named", async (method, contentEncoding) => {
    const keyPrefix = uniquePrefix();
    const cache = await openCache<EncodedBody>({ client, keyPrefix, codec: encodedBodyCodec });
    const encoding = createBodyEncoding({ method });
    await cache.set("key", encoding.encode(prose));
    expect(await client.strlen(`${keyPrefix}:{test.0}:v:key`)).toBeLessThan(prose.length / 4);
    const found = await cache.get("key");
    expect(found?.contentEncoding).toBe(contentEncoding);
    expect(undo[contentEncoding](found?.bytes as Buffer)).toEqual(prose);
    expect(found && encoding.decode(found)).toEqual(prose);
    await cache.close();
  });

  test.each(["short", "long enough to be compressed ".repeat(100), [1, 2, 3], undefined])(
    "is made of bytes alone, and not of %j",
    (body) => {
      expect(() => createBodyEncoding().encode(body as unknown as Uint8Array)).toThrow(/ERR_CACHE_CODEC.*the body must be a Uint8Array/);
    },
  );

  test("that is short, or gains nothing, stays as it is", async () => {
    const cache = await openCache<EncodedBody>({ client, codec: encodedBodyCodec });
    await cache.set("key", createBodyEncoding().encode(new TextEncoder().encode("short")));
    expect(await cache.get("key")).toEqual({ bytes: Buffer.from("short"), contentEncoding: "identity" });
    await cache.close();
  });

  test("is held in its short form by both tiers, and sealed where the cache seals", async () => {
    const keyPrefix = uniquePrefix();
    const sealing = createSealing({ current: { id: "k", secret: Buffer.alloc(32, 7) } });
    const l2 = await openCache<EncodedBody>({ client, keyPrefix, codec: encodedBodyCodec, sealing });
    const cache = new TieredCache<EncodedBody>({ l1: new NaiveCache({ clock: systemClock }), l2, backendBudgetMs: 2_000 });
    const encoding = createBodyEncoding({ method: "gzip" });
    const load = () => encoding.encode(prose);
    const first = await cache.getOrSet("key", load);
    expect(await cache.getOrSet("key", load)).toBe(first);
    await cache.close();
    const stored = (await client.getBuffer(`${keyPrefix}:{test.0}:v:key`)) as Buffer;
    expect(stored.includes((first as EncodedBody).bytes)).toBe(false);
    expect(await l2.get("key")).toEqual(first);
    await l2.close();
  });

  test("of another kind is refused when it is stored, and a miss when it is read", async () => {
    const keyPrefix = uniquePrefix();
    const cache = await openCache<EncodedBody>({ client, keyPrefix, codec: encodedBodyCodec });
    for (const value of [
      Buffer.from("bytes"),
      null,
      { bytes: "text", contentEncoding: "gzip" },
      { bytes: prose, contentEncoding: "deflate" },
    ])
      await expect(cache.set("key", value as never)).rejects.toMatchObject({ code: "ERR_CACHE_CODEC" });
    for (const spoiled of [Buffer.alloc(0), Buffer.from([9, 1, 2])]) expect(() => encodedBodyCodec.decode(spoiled)).toThrow(/no encoding/);
    const other = await openCache<string>({ client, keyPrefix });
    await other.set("key", "text");
    expect(await cache.get("key")).toBe(undefined);
    await Promise.all([cache.close(), other.close()]);
  });

  test("that would fill the memory, or is spoiled, is an error that quotes nothing", () => {
    const bomb = createBodyEncoding({ method: "gzip" }).encode(Buffer.alloc(5_000_000));
    expect(() => createBodyEncoding({ maxOutputBytes: 1_000_000 }).decode(bomb)).toThrow(/ERR_CACHE_CODEC.*maxOutputBytes/);
    expect(() => createBodyEncoding().decode({ bytes: Buffer.from("CANARY"), contentEncoding: "br" })).toThrow(/ERR_CACHE_CODEC/);
    expect(() => createBodyEncoding().decode({ bytes: Buffer.from("CANARY"), contentEncoding: "br" })).not.toThrow(/CANARY/);
  });

  test("needs no compression by the cache, which finds nothing to gain in it", () => {
    const { bytes } = createBodyEncoding({ method: "brotli" }).encode(prose);
    expect(createCompression({ minBytes: 1 }).compress(bytes)).toBe(undefined);
  });
});

describe("what a client is sent", () => {
  const encoding = createBodyEncoding({ method: "brotli" });
  const body = encoding.encode(prose);

  test.each([
    ["br", "br"],
    ["gzip, deflate, br", "br"],
    ["GZIP, BR;q=0.5", "br"],
    ["*", "br"],
    ["*;q=0, br", "br"],
    ["br;q=0.001", "br"],
    ["gzip", "identity"],
    ["br;q=0", "identity"],
    ["br; q=0.000, *", "identity"],
    ["*;q=0", "identity"],
    ["brotli", "identity"],
    ["", "identity"],
    [undefined, "identity"],
  ])("under Accept-Encoding %j is %s", (acceptEncoding, contentEncoding) => {
    const sent = encoding.negotiate(body, acceptEncoding);
    expect(sent.contentEncoding).toBe(contentEncoding);
    if (contentEncoding === "br") expect(sent).toBe(body);
    else expect(sent.bytes).toEqual(prose);
  });

  test("is what was never encoded, whatever it takes", () => {
    const plain = encoding.encode(Buffer.from("short"));
    for (const acceptEncoding of ["br", "", undefined]) expect(encoding.negotiate(plain, acceptEncoding)).toBe(plain);
    const gzip = createBodyEncoding({ method: "gzip" });
    const zipped = gzip.encode(prose);
    expect(gzip.negotiate(zipped, "x-gzip")).toBe(zipped);
  });

  test("is made of bytes of another realm, and from them", () => {
    const foreign = runInNewContext("Uint8Array.of(1, 2, 3)") as Uint8Array;
    expect(createBodyEncoding().encode(foreign)).toEqual({ bytes: Buffer.of(1, 2, 3), contentEncoding: "identity" });
    const read = encodedBodyCodec.decode(Buffer.from(encodedBodyCodec.encode({ bytes: foreign as Buffer, contentEncoding: "identity" })));
    expect(read.bytes).toEqual(Buffer.of(1, 2, 3));
  });

  test("arrives: a real client reads what came out of Redis, decompressed by itself", async () => {
    const cache = await openCache<EncodedBody>({ client, codec: encodedBodyCodec });
    await cache.set("key", body);
    const server = createServer(async (request, response) => {
      const found = await cache.get("key");
      if (!found) return response.writeHead(500).end();
      const { bytes, contentEncoding } = encoding.negotiate(found, request.headers["accept-encoding"]);
      if (contentEncoding !== "identity") response.setHeader("content-encoding", contentEncoding);
      return response.writeHead(200, { "x-sent": bytes.length }).end(bytes);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const short = await fetch(url, { headers: { "accept-encoding": "br" } });
    expect([short.headers.get("content-encoding"), short.headers.get("x-sent")]).toEqual(["br", String(body.bytes.length)]);
    expect(Buffer.from(await short.arrayBuffer())).toEqual(prose);
    const plain = await fetch(url, { headers: { "accept-encoding": "identity" } });
    expect(plain.headers.get("x-sent")).toBe(String(prose.length));
    expect(Buffer.from(await plain.arrayBuffer())).toEqual(prose);
    server.closeAllConnections();
    server.close();
    await cache.close();
  });
});
