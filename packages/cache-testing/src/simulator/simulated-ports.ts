import { shardOf } from "./shard-of.ts";
import type { SimulatedAddress, SimulatedServer } from "./simulated-address.ts";
import { CommandLane, ConnectionLost, type PortContext, SubscriberLane } from "./simulated-lanes.ts";
import type { SimulatedLink } from "./simulated-link.ts";
import { ReplyError, type Text } from "./simulated-redis.ts";

/** What a bus is told by its port. */
interface BusPortEvents {
  onSubscribed(): void;
  onLost(): void;
  onMessage(channel: string, text: string): void;
}

/**
 * Stands in for the bus's connections. Structurally the bus's own `BusPort`. On a cluster there is a pair of them for each shard, and the loss of
 * a subscription to one of several shards is not told: a client replaces a node's connection without a word.
 */
export class SimulatedBusPort {
  readonly publishCommand: "PUBLISH" | "SPUBLISH" = "PUBLISH";
  readonly #contexts: readonly PortContext[];
  readonly #commands: readonly CommandLane[];
  readonly #subscriptions: readonly SubscriberLane[];
  /** Shards that have not acknowledged what is wanted since the bus was last told. */
  readonly #unacknowledged: Set<number> = new Set();
  /** When each heartbeat was sent and for which lane, by the nonce that it is recognised by. */
  readonly #beats: Map<string, { readonly sentAt: number; readonly lane: string }> = new Map();
  /** When the latest heartbeat was sent that has been heard, by lane. */
  readonly #heardAt: Map<string, number> = new Map();
  #events: BusPortEvents | undefined;

  /** @param contexts one for each shard */
  constructor(contexts: readonly PortContext[]) {
    this.#contexts = contexts;
    this.#commands = contexts.map((context) => new CommandLane(context, { onUp: () => {}, onDown: () => {} }));
    this.#subscriptions = contexts.map(
      (context, shard) =>
        new SubscriberLane(context, {
          onUp: () => this.#subscribe(shard),
          onDown: () => {
            if (contexts.length === 1) this.#events?.onLost();
          },
          onMessage: (channel, text) => this.#hear(channel, text),
        }),
    );
  }

  /** When the latest of the heartbeats was sent that this process has heard, in the lane where that is longest ago. */
  get heardBeatAt(): number {
    return this.#heardAt.size === 0 ? -Infinity : Math.min(...this.#heardAt.values());
  }

  /** The connections, for faults. */
  get links(): readonly SimulatedLink[] {
    return [...this.#commands, ...this.#subscriptions].map(({ link }) => link);
  }

  /** The same to one server. */
  linksTo(address: SimulatedAddress): readonly SimulatedLink[] {
    return linksTo(address, [...this.#commands, ...this.#subscriptions]);
  }

  open(events: BusPortEvents): void {
    this.#events = events;
    for (const link of this.links) link.connect();
  }

  run(script: { readonly name: string }, keys: readonly string[], args: readonly string[], timeoutMs: number): Promise<unknown> {
    if (script.name === "check") this.#expectBeat(args[3] as string, keys[0] as string);
    const shard = this.#shardOf(keys[0] as string);
    const { clock } = this.#contexts[shard] as PortContext;
    const commands = this.#commands[shard] as CommandLane;
    return new Promise((resolve, reject) => {
      const cancel = clock.setTimer(() => reject(new Error("Command timed out")), timeoutMs);
      commands
        .call(({ scripts }) => scripts.run(script.name, keys, args))
        .then(
          (reply) => {
            cancel();
            resolve(reply);
          },
          (error: unknown) => {
            cancel();
            // As the client is told to by its settings: what was the master takes no writes.
            if (error instanceof ReplyError && error.message.startsWith("READONLY")) commands.link.cut();
            reject(error);
          },
        );
    });
  }

  subscribe(channels: readonly string[]): void {
    for (const [shard, subscriptions] of this.#subscriptions.entries()) {
      const own = channels.filter((channel) => this.#shardOf(channel) === shard);
      if (own.length === 0) continue;
      subscriptions.want(own);
      this.#unacknowledged.add(shard);
      this.#subscribe(shard);
    }
  }

  unsubscribe(channels: readonly string[]): void {
    for (const subscriptions of this.#subscriptions) subscriptions.unwant(channels);
  }

  reconnectSubscriber(): void {
    for (const { link } of this.#subscriptions) link.cut();
    if (this.#subscriptions.length === 1) return;
    for (const [shard, { wanted }] of this.#subscriptions.entries()) if (wanted.length > 0) this.#unacknowledged.add(shard);
    this.#events?.onLost();
  }

  close(): void {
    this.#events = undefined;
    for (const subscriptions of this.#subscriptions) subscriptions.drop();
    for (const link of this.links) link.close();
  }

  /** What is sent in a lane is lost, while the connection stands. */
  mute(lane: number): void {
    for (const subscriptions of this.#subscriptions) subscriptions.mute(lane);
  }

  /** All of it comes again. */
  unmute(): void {
    for (const subscriptions of this.#subscriptions) subscriptions.unmute();
  }

  /** Messages that nobody understands come, one turn's work each. */
  flood(messages: number): void {
    for (const subscriptions of this.#subscriptions) subscriptions.flood(messages);
  }

  #shardOf(name: string): number {
    return shardOf(name, this.#contexts.length);
  }

  #hear(channel: string, text: string): void {
    const beat = this.#beats.get(text.slice(0, text.indexOf(" ")));
    if (beat && beat.sentAt > (this.#heardAt.get(beat.lane) as number)) this.#heardAt.set(beat.lane, beat.sentAt);
    this.#events?.onMessage(channel, text);
  }

  #expectBeat(nonce: string, lane: string): void {
    this.#beats.set(nonce, { sentAt: (this.#contexts[0] as PortContext).time.now, lane });
    if (!this.#heardAt.has(lane)) this.#heardAt.set(lane, -Infinity);
  }

  #subscribe(shard: number): void {
    const subscriptions = this.#subscriptions[shard] as SubscriberLane;
    const { wanted } = subscriptions;
    if (wanted.length > 0) subscriptions.subscribe(wanted, () => this.#onAcknowledged(shard));
  }

  #onAcknowledged(shard: number): void {
    const isAwaited = this.#unacknowledged.delete(shard);
    if (this.#contexts.length === 1 || (isAwaited && this.#unacknowledged.size === 0)) this.#events?.onSubscribed();
  }
}

interface RedisPortEvents {
  onUp(): void;
  onDown(): void;
  onMessage(channel: string, text: string): void;
  onSubscriptionsLost(): void;
}

/**
 * Stands in for the second tier's connections. Structurally the second tier's own `RedisPort`. On a cluster there is one for each shard: that
 * one of them is there anew is told as if all were, and that one is gone is not.
 */
export class SimulatedRedisPort {
  readonly nodeCount: number = 1;
  readonly #contexts: readonly PortContext[];
  readonly #commands: readonly CommandLane[];
  /** Of whichever node: what is published elsewhere is heard there as well. */
  readonly #subscriptions: SubscriberLane;
  /** Of each of the process's caches. */
  readonly #events: Set<RedisPortEvents> = new Set();
  #hasSubscribed = false;

  /** @param contexts one for each shard */
  constructor(contexts: readonly PortContext[]) {
    this.#contexts = contexts;
    this.#commands = contexts.map(
      (context) =>
        new CommandLane(context, {
          onUp: () => this.#tell((events) => events.onUp()),
          onDown: () => {
            if (!this.isReady) this.#tell((events) => events.onDown());
          },
        }),
    );
    this.#subscriptions = new SubscriberLane(contexts[0] as PortContext, {
      onUp: () => this.#subscriptions.subscribe(this.#subscriptions.wanted, () => {}),
      onDown: () => this.#tell((events) => events.onSubscriptionsLost()),
      onMessage: (channel, text) => this.#tell((events) => events.onMessage(channel, text)),
    });
  }

  /** The connections, for faults. */
  get links(): readonly SimulatedLink[] {
    return [...this.#commands, this.#subscriptions].map(({ link }) => link);
  }

  /** The same to one server. */
  linksTo(address: SimulatedAddress): readonly SimulatedLink[] {
    return linksTo(address, [...this.#commands, this.#subscriptions]);
  }

  get isReady(): boolean {
    return this.#commands.some(({ link }) => link.isUp);
  }

  open(events: RedisPortEvents): void {
    this.#events.add(events);
    for (const { link } of this.#commands) link.connect();
  }

  fields(key: string, names: readonly string[]): Promise<ReadonlyArray<Buffer | string | null>> {
    return this.#call(key, ({ redis }) => names.map((name) => redis.hashGet(key, name)));
  }

  getMany(keys: readonly string[]): Promise<ReadonlyArray<Buffer | null>> {
    return this.#call(keys[0] as string, ({ redis }) => keys.map((key) => toBytes(redis.get(key))));
  }

  run(script: { readonly name: string }, keys: readonly string[], args: ReadonlyArray<string | number | Buffer>): Promise<unknown> {
    return this.#call(keys[0] as string, ({ scripts }) => scripts.run(script.name, keys, args));
  }

  /** Nothing is swept here: what the sweep frees is what no reader takes. */
  async scan(): Promise<readonly [cursor: string, keys: readonly string[]]> {
    return ["0", []];
  }

  subscribe(channel: string): Promise<void> {
    this.#subscriptions.want([channel]);
    if (!this.#hasSubscribed) {
      this.#hasSubscribed = true;
      this.#subscriptions.link.connect();
    }
    return new Promise((resolve, reject) => {
      if (this.#subscriptions.link.isUp) this.#subscriptions.subscribe([channel], resolve);
      else (this.#contexts[0] as PortContext).clock.setTimer(() => this.#retry(channel, resolve, reject), 5);
    });
  }

  unsubscribe(channel: string): void {
    this.#subscriptions.unwant([channel]);
  }

  batch(): void {}

  reconnect(): void {
    for (const { link } of this.#commands) link.cut();
  }

  close(): void {
    this.#events.clear();
    this.#subscriptions.drop();
    for (const link of this.links) link.close();
  }

  #call<T>(key: string, run: (server: SimulatedServer) => T): Promise<T> {
    return (this.#commands[shardOf(key, this.#contexts.length)] as CommandLane).call(run);
  }

  #tell(tell: (events: RedisPortEvents) => void): void {
    for (const events of this.#events) tell(events);
  }

  #retry(channel: string, resolve: () => void, reject: (error: Error) => void): void {
    if (this.#subscriptions.link.isUp) this.#subscriptions.subscribe([channel], resolve);
    else reject(new ConnectionLost("the subscription could not be made"));
  }
}

function linksTo(address: SimulatedAddress, lanes: ReadonlyArray<CommandLane | SubscriberLane>): readonly SimulatedLink[] {
  return lanes.filter((lane) => lane.address === address).map(({ link }) => link);
}

function toBytes(value: Text | undefined): Buffer | null {
  return value === undefined ? null : Buffer.isBuffer(value) ? value : Buffer.from(value);
}
