import { CommandLane, ConnectionLost, type PortContext, SubscriberLane } from "./simulated-lanes.ts";
import type { SimulatedLink } from "./simulated-link.ts";
import type { Text } from "./simulated-redis.ts";

/** Stands in for the bus's connections. Structurally the bus's own `BusPort`. */
export class SimulatedBusPort {
  readonly publishCommand: "PUBLISH" | "SPUBLISH" = "PUBLISH";
  readonly commands: CommandLane;
  readonly subscriptions: SubscriberLane;
  readonly #context: PortContext;
  /** When each heartbeat was sent and for which lane, by the nonce that it is recognised by. */
  readonly #beats: Map<string, { readonly sentAt: number; readonly lane: string }> = new Map();
  /** When the latest heartbeat was sent that has been heard, by lane. */
  readonly #heardAt: Map<string, number> = new Map();
  #events: { onSubscribed(): void; onLost(): void; onMessage(channel: string, text: string): void } | undefined;

  constructor(context: PortContext) {
    this.#context = context;
    this.commands = new CommandLane(context, { onUp: () => {}, onDown: () => {} });
    this.subscriptions = new SubscriberLane(context, {
      onUp: () => this.#subscribe(),
      onDown: () => this.#events?.onLost(),
      onMessage: (channel, text) => this.#hear(channel, text),
    });
  }

  /** When the latest of the heartbeats was sent that this process has heard, in the lane where that is longest ago. */
  get heardBeatAt(): number {
    return this.#heardAt.size === 0 ? -Infinity : Math.min(...this.#heardAt.values());
  }

  /** The connections, for faults. */
  get links(): readonly SimulatedLink[] {
    return [this.commands.link, this.subscriptions.link];
  }

  open(events: { onSubscribed(): void; onLost(): void; onMessage(channel: string, text: string): void }): void {
    this.#events = events;
    for (const link of this.links) link.connect();
  }

  run(script: { readonly name: string }, keys: readonly string[], args: readonly string[], timeoutMs: number): Promise<unknown> {
    if (script.name === "check") this.#expectBeat(args[3] as string, keys[0] as string);
    return new Promise((resolve, reject) => {
      const cancel = this.#context.clock.setTimer(() => reject(new Error("Command timed out")), timeoutMs);
      this.commands
        .call(() => this.#context.scripts.run(script.name, keys, args))
        .then(
          (reply) => {
            cancel();
            resolve(reply);
          },
          (error: unknown) => {
            cancel();
            reject(error);
          },
        );
    });
  }

  subscribe(channels: readonly string[]): void {
    this.subscriptions.want(channels);
    this.#subscribe();
  }

  unsubscribe(channels: readonly string[]): void {
    this.subscriptions.unwant(channels);
  }

  reconnectSubscriber(): void {
    this.subscriptions.link.cut();
  }

  close(): void {
    this.#events = undefined;
    this.subscriptions.drop();
    for (const link of this.links) link.close();
  }

  #hear(channel: string, text: string): void {
    const beat = this.#beats.get(text.slice(0, text.indexOf(" ")));
    if (beat && beat.sentAt > (this.#heardAt.get(beat.lane) as number)) this.#heardAt.set(beat.lane, beat.sentAt);
    this.#events?.onMessage(channel, text);
  }

  #expectBeat(nonce: string, lane: string): void {
    this.#beats.set(nonce, { sentAt: this.#context.time.now, lane });
    if (!this.#heardAt.has(lane)) this.#heardAt.set(lane, -Infinity);
  }

  #subscribe(): void {
    const { wanted } = this.subscriptions;
    if (wanted.length > 0) this.subscriptions.subscribe(wanted, () => this.#events?.onSubscribed());
  }
}

interface RedisPortEvents {
  onUp(): void;
  onDown(): void;
  onMessage(channel: string, text: string): void;
  onSubscriptionsLost(): void;
}

/** Stands in for the second tier's connections. Structurally the second tier's own `RedisPort`. */
export class SimulatedRedisPort {
  readonly nodeCount: number = 1;
  readonly commands: CommandLane;
  readonly subscriptions: SubscriberLane;
  readonly #context: PortContext;
  /** Of each of the process's caches. */
  readonly #events: Set<RedisPortEvents> = new Set();
  #hasSubscribed = false;

  constructor(context: PortContext) {
    this.#context = context;
    this.commands = new CommandLane(context, {
      onUp: () => this.#tell((events) => events.onUp()),
      onDown: () => this.#tell((events) => events.onDown()),
    });
    this.subscriptions = new SubscriberLane(context, {
      onUp: () => this.subscriptions.subscribe(this.subscriptions.wanted, () => {}),
      onDown: () => this.#tell((events) => events.onSubscriptionsLost()),
      onMessage: (channel, text) => this.#tell((events) => events.onMessage(channel, text)),
    });
  }

  /** The connections, for faults. */
  get links(): readonly SimulatedLink[] {
    return [this.commands.link, this.subscriptions.link];
  }

  get isReady(): boolean {
    return this.commands.link.isUp;
  }

  open(events: RedisPortEvents): void {
    this.#events.add(events);
    this.commands.link.connect();
  }

  fields(key: string, names: readonly string[]): Promise<ReadonlyArray<Buffer | string | null>> {
    return this.commands.call(() => names.map((name) => this.#context.redis.hashGet(key, name)));
  }

  getMany(keys: readonly string[]): Promise<ReadonlyArray<Buffer | null>> {
    return this.commands.call(() => keys.map((key) => toBytes(this.#context.redis.get(key))));
  }

  run(script: { readonly name: string }, keys: readonly string[], args: ReadonlyArray<string | number | Buffer>): Promise<unknown> {
    return this.commands.call(() => this.#context.scripts.run(script.name, keys, args));
  }

  /** Nothing is swept here: what the sweep frees is what no reader takes. */
  async scan(): Promise<readonly [cursor: string, keys: readonly string[]]> {
    return ["0", []];
  }

  subscribe(channel: string): Promise<void> {
    this.subscriptions.want([channel]);
    if (!this.#hasSubscribed) {
      this.#hasSubscribed = true;
      this.subscriptions.link.connect();
    }
    return new Promise((resolve, reject) => {
      if (this.subscriptions.link.isUp) this.subscriptions.subscribe([channel], resolve);
      else this.#context.clock.setTimer(() => this.#retry(channel, resolve, reject), 5);
    });
  }

  unsubscribe(channel: string): void {
    this.subscriptions.unwant([channel]);
  }

  batch(): void {}

  reconnect(): void {
    this.commands.link.cut();
  }

  close(): void {
    this.#events.clear();
    this.subscriptions.drop();
    for (const link of this.links) link.close();
  }

  #tell(tell: (events: RedisPortEvents) => void): void {
    for (const events of this.#events) tell(events);
  }

  #retry(channel: string, resolve: () => void, reject: (error: Error) => void): void {
    if (this.subscriptions.link.isUp) this.subscriptions.subscribe([channel], resolve);
    else reject(new ConnectionLost("the subscription could not be made"));
  }
}

function toBytes(value: Text | undefined): Buffer | null {
  return value === undefined ? null : Buffer.isBuffer(value) ? value : Buffer.from(value);
}
