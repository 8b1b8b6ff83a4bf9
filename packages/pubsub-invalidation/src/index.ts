// For users.

export type { BodySigner } from "./body-signer.ts";
// For those who put the bus on another client, and for the simulator.
export type { BusPort, BusPortEvents, BusScript } from "./bus-port.ts";
export type { BusStats } from "./bus-stats.ts";
export { CoherentCache, createCoherentCache } from "./coherent-cache.ts";
export { durationSetting } from "./duration-setting.ts";
export type { IoredisClient } from "./ioredis-port.ts";
export type { BusConnectionEvent, RedisInvalidationBusOptions } from "./redis-bus.ts";
export { RedisInvalidationBus } from "./redis-bus.ts";
