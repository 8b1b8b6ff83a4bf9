// Bodies of HTTP answers, compressed once and sent as they are stored: a hit decompresses nothing, unless a client wants it so.
// npm install @larder/cache-redis @larder/cache-core ioredis
// Save it as encoded-answers.mts: `node encoded-answers.mts` runs it from Node 22.18 on, `npx tsx encoded-answers.mts` on Node 20.
// It takes the Redis at REDIS_URL.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { RedisCache } from "@larder/cache-redis";
import { createBodyEncoding, type EncodedBody, encodedBodyCodec } from "@larder/cache-redis/compression";

const cache = new RedisCache<EncodedBody>({
  url: process.env.REDIS_URL ?? "redis://127.0.0.1:6379",
  namespace: "example-encoded-answers",
  codec: encodedBodyCodec,
  ttlMs: 60_000,
});
await cache.ready();
// Taken by nearly every client; "auto" would be zstd where this Node has it.
const encoding = createBodyEncoding({ method: "brotli" });

const server = createServer(async (request, response) => {
  let body = await cache.get("answer");
  if (!body) {
    body = encoding.encode(Buffer.from(JSON.stringify({ content: "words ".repeat(1_000) })));
    await cache.set("answer", body);
  }
  const { bytes, contentEncoding } = encoding.negotiate(body, request.headers["accept-encoding"]);
  response.setHeader("content-type", "application/json").setHeader("vary", "accept-encoding");
  if (contentEncoding !== "identity") response.setHeader("content-encoding", contentEncoding);
  response.end(bytes);
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

for (const acceptEncoding of ["br", "identity"]) {
  const response = await fetch(url, { headers: { "accept-encoding": acceptEncoding } });
  const { content } = (await response.json()) as { content: string };
  console.log(acceptEncoding, "takes", response.headers.get("content-length"), "bytes on the way;", content.length, "characters come out");
}

server.closeAllConnections();
server.close();
await cache.clear();
await cache.close();
