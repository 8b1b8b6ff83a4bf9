import type { RedisScript } from "./scripts.ts";

/** What a port tells. Called synchronously. */
export interface RedisPortEvents {
  /** Commands can be sent, on a connection that was not there before: nothing known of the server may be taken for granted. */
  onUp(): void;
  /** No command can be sent. Those on their way will not be answered. */
  onDown(): void;
  /** A message on a subscribed channel. */
  onMessage(channel: string, text: string): void;
  /** The subscriptions are gone: messages may be missed from here on. */
  onSubscriptionsLost(): void;
}

/**
 * The one seam between the cache and a Redis client: the simulator stands in here, and nothing else changes. A port sends and reports;
 * deadlines, caps, breaker and judgement are the cache's. Promises reject with whatever the client throws.
 */
export interface RedisPort {
  /** Whether commands can be sent now. */
  readonly isReady: boolean;
  /** What the client failed with last, while it is not ready: a code word, as `ECONNREFUSED`; empty or left out when it did not say. */
  readonly trouble?: string;
  /** Masters that hold keys: what `scan` takes an index of. */
  readonly nodeCount: number;
  /** Begins telling, `onUp` at once when connected. Called once, before everything else. */
  open(events: RedisPortEvents): void;
  /** HMGET. */
  fields(key: string, names: readonly string[]): Promise<ReadonlyArray<Buffer | string | null>>;
  /** GET, as bytes: a read that has no company. Without it `getMany` is asked for one key. */
  get?(key: string): Promise<Buffer | null>;
  /** MGET of keys in one slot, as bytes. */
  getMany(keys: readonly string[]): Promise<ReadonlyArray<Buffer | null>>;
  /** Runs a script where its keys are, all in one slot. Text comes as bytes. */
  run(script: RedisScript, keys: readonly string[], args: ReadonlyArray<string | number | Buffer>): Promise<unknown>;
  /** A page of SCAN on one master. */
  scan(node: number, cursor: string, match: string, count: number): Promise<readonly [cursor: string, keys: readonly string[]]>;
  /** Resolves when the subscription is acknowledged. Opens a connection for it at the first call. */
  subscribe(channel: string): Promise<void>;
  /** A subscription was not acknowledged in time: gives the connection for subscriptions up, so that the next one is made on another. */
  dropSubscriptions?(): void;
  /** Ends a subscription. Never rejects. */
  unsubscribe(channel: string): void;
  /**
   * Lets what is sent in this turn of the event loop leave in one write. Called before every command.
   * @param inFlight calls that have not been answered: at 0 the command may be the only one
   */
  batch(inFlight: number): void;
  /** Gives the connection up and makes a new one: the server turned out to be a replica, or to be deaf. */
  reconnect(): void;
  /** Ends what the port opened itself. Nothing is told afterwards. */
  close(): void;
}
