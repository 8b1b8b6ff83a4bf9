// For users: the gateway inside an application.
export { createSettings, readSettings, SettingsError } from "./config/read-settings.ts";
export type { Settings } from "./config/schema.ts";
export type { CachedFetch, CachedFetchOptions } from "./create-cached-fetch.ts";
export { createCachedFetch } from "./create-cached-fetch.ts";
export type { GatewayHandler, GatewayHandlerOptions } from "./create-gateway-handler.ts";
export { createGatewayHandler } from "./create-gateway-handler.ts";
// For those who start the whole server from a program: tests, benches.
export type { RunningGateway, StartOptions } from "./start-gateway.ts";
export { startGateway } from "./start-gateway.ts";
