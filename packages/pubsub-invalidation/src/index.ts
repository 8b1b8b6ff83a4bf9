// For users.

export type { BodySigner } from "./body-signer.ts";
// For those who put the bus on something else than ioredis, and for the simulator.
export type { BusPort, BusPortEvents, BusScript } from "./bus-port.ts";
export type { BusStats } from "./bus-stats.ts";
export { CoherentCache, createCoherentCache } from "./coherent-cache.ts";
export type { IoredisClient } from "./duplicate-client.ts";
export { durationSetting } from "./duration-setting.ts";
export type { Outbox, OutboxRow, SendOutboxOptions } from "./outbox.ts";
export { sendOutbox } from "./outbox.ts";
export type { BusConnectionEvent, PortBusOptions } from "./port-bus.ts";
export { PortInvalidationBus } from "./port-bus.ts";
export type { RedisInvalidationBusOptions } from "./redis-bus.ts";
export { RedisInvalidationBus } from "./redis-bus.ts";
