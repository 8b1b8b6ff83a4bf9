/** One Redis that a scenario may use, stop and kill as it likes. */
export interface LaunchedRedis {
  /** `redis://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  /** Of the server's process, to send it SIGSTOP and SIGCONT; `undefined` for a server that is not ours. */
  readonly pid: number | undefined;
  /** For example `7.0.15`. */
  readonly version: string;
  /** Ends the server and removes its folder. Calling it again is fine. */
  stop(): Promise<void>;
}

/** How a server is started. */
export interface LaunchRedisOptions {
  /** Further arguments of the program, for example `["--maxmemory", "16mb"]`. @default none */
  readonly args?: readonly string[];
  /** The port, for a restart in the same place. @default a free one */
  readonly port?: number;
}

/** Starts servers of the bench's own, so that no data of anybody else is ever near. All are stopped when the run ends. */
export interface RedisLauncher {
  /** Whether there is a program to start: `redis-server` or `valkey-server` on the PATH, or LARDER_REDIS_SERVER. */
  isAvailable(): boolean;
  /** @throws {ScenarioUnavailable} when there is no program */
  start(options?: LaunchRedisOptions): Promise<LaunchedRedis>;
}
