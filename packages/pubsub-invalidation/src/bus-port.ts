/** A script that the bus runs. The name is what a simulated server knows it by. */
export interface BusScript {
  readonly name: "check" | "append" | "replay";
  readonly text: string;
}

/** What a port tells the bus. Called synchronously, in the order in which things happened on the subscriber's connection. */
export interface BusPortEvents {
  /**
   * Every wanted channel is acknowledged on the current connection: from here on nothing published is missed. Told again after each reconnect. A channel whose
   * shard cannot be reached is not waited for: its lane has no proof, and is deaf once its checks are answered again.
   */
  onSubscribed(): void;
  /** Scripts can be run again, or for the first time: what was asked for in vain meanwhile may be asked anew. Optional for a port to tell. */
  onReachable?(): void;
  /** The subscriber's connection is gone. */
  onLost(): void;
  /** A message on a subscribed channel. */
  onMessage(channel: string, text: string): void;
  /** Something failed that nobody awaits. Counted; a `CacheError` ERR_CACHE_INVALID_OPTION says that the port can never work. */
  onError(error: unknown): void;
}

/**
 * The one seam between the bus and a Redis client: the simulator replaces it, and nothing else of the bus changes. Two connections
 * stand behind it, because a subscriber's connection takes no other commands, and a reply that comes by one says nothing about messages
 * that come by the other.
 */
export interface BusPort {
  /** How scripts publish: `SPUBLISH` keeps a message on the shard of its lane. */
  readonly publishCommand: "PUBLISH" | "SPUBLISH";
  /** Connects, and goes on trying for ever. Called once, before everything else. */
  open(events: BusPortEvents): void;
  /**
   * Runs a script on the server that holds its keys, which all lie in one slot.
   * @param timeoutMs milliseconds > 0; afterwards the promise rejects, whatever becomes of the command
   * @throws whatever the client throws; at once while there is no connection, or when too many calls are under way. However many
   * invalidations are, there is room left for some hundred checks and replays
   */
  run(script: BusScript, keys: readonly string[], args: readonly string[], timeoutMs: number): Promise<unknown>;
  /** Adds channels to those wanted. `onSubscribed` follows when all wanted ones are acknowledged. */
  subscribe(channels: readonly string[]): void;
  /** Takes channels back. */
  unsubscribe(channels: readonly string[]): void;
  /** Gives the subscriber's connection up and makes a new one: it looks alive and delivers nothing. */
  reconnectSubscriber(): void;
  /** Ends both connections. Nothing is told afterwards. */
  close(): void;
}
