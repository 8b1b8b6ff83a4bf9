export type { CoherenceWatcherOptions, Inconsistency, WatcherStats } from "./coherence-watcher.ts";
export { CoherenceWatcher } from "./coherence-watcher.ts";
export type { WatcherPort, WatcherPortOptions } from "./watcher-port.ts";
export { redisWatcherPort, workerWatcherPort } from "./watcher-port.ts";
