import type { RedisServer, RedisServerOptions } from "@larder/cache-testing";

/** One Redis that a scenario may use, stop and kill as it likes. */
export interface LaunchedRedis {
  /** `redis://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  /** Of the server's process as it was started. */
  readonly pid: number;
  /** For example `7.0.15`. */
  readonly version: string;
  /** To pause, resume, kill, restart and command it. */
  readonly server: RedisServer;
  /** Ends the server and removes its folder. Calling it again is fine. */
  stop(): Promise<void>;
}

/** How a server is started, as `startRedisServer` of cache-testing has it. */
export type LaunchRedisOptions = RedisServerOptions;

/** Starts servers of the bench's own, so that no data of anybody else is ever near. All are stopped when the run ends. */
export interface RedisLauncher {
  /** Whether there is a program to start: LARDER_REDIS_SERVER, or `redis-server` or `valkey-server` on the PATH. */
  isAvailable(): boolean;
  /** @throws {ScenarioUnavailable} when there is no program */
  start(options?: LaunchRedisOptions): Promise<LaunchedRedis>;
}
