// Users need RedisCache, its options and a codec; RedisPort is for those who bring a client of another kind.
export type { BreakerState } from "./breaker.ts";
export type { CallFailureKind } from "./call-failure.ts";
export type { EntryFault } from "./entry-format.ts";
export type { OpenClientOptions } from "./open-client.ts";
export { openClient } from "./open-client.ts";
export type { RedisCacheOptions } from "./options.ts";
export { RedisCache } from "./redis-cache.ts";
export type { RedisCacheEvents } from "./redis-events.ts";
export type { RedisPort, RedisPortEvents } from "./redis-port.ts";
export type { RedisCacheStats, RedisOperation } from "./redis-stats.ts";
export type { RedisScript } from "./scripts.ts";
export type { ValueCodec } from "./value-codec.ts";
export { bytesCodec, jsonCodec, v8Codec } from "./value-codec.ts";
export type { BodyCompression, BodySealing, PipelineFault } from "./value-pipeline.ts";
