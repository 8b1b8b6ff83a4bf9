// Credentials shared by a fleet: sealed in Redis, told to every process when they change, never older than a second where the bus is lost.
// npm install @larder/cache-redis @larder/cache-core ioredis
// Save it as sealed-tier.mts: `node sealed-tier.mts` runs it from Node 22.18 on, `npx tsx sealed-tier.mts` on Node 20.
// It takes the Redis at REDIS_URL.
import { randomBytes } from "node:crypto";
import { bytesCodec, openClient, RedisCache } from "@larder/cache-redis";
import { createCompression } from "@larder/cache-redis/compression";
import { createSealing } from "@larder/cache-redis/sealing";

const url = process.env.REDIS_URL ?? "redis://127.0.0.1:6379";
// One client may serve many caches, and stays ours.
const client = openClient(url);

// In earnest the key comes from a secret store, and the same one to every process.
const sealing = createSealing({ current: { id: "2026-11", secret: randomBytes(32) } });
const credentials = new RedisCache<{ apiKey: string }>({ client, namespace: "example-credentials", sealing, ttlMs: 60_000 });
const answers = new RedisCache<Buffer>({ client, namespace: "example-answers", codec: bytesCodec, compression: createCompression() });
await Promise.all([credentials.ready(), answers.ready()]);

await credentials.set("provider", { apiKey: "sk-secret" });
console.log(await credentials.get("provider"));

await answers.set("chat:1", Buffer.from(JSON.stringify({ content: "words ".repeat(1_000) })), { tags: ["model:small"] });
console.log((await answers.get("chat:1"))?.length, "bytes come back;", answers.stats().bytesOut, "went to Redis");

await Promise.all([credentials.clear(), answers.clear()]);
await Promise.all([credentials.close(), answers.close()]);
client.disconnect();
