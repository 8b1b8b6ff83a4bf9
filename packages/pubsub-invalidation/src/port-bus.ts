import { channel as diagnosticsChannel } from "node:diagnostics_channel";
import {
  CacheError,
  type CancelTimer,
  type Clock,
  checkCount,
  checkDurationMs,
  checkFunction,
  type InvalidationBus,
  type InvalidationChannel,
  type InvalidationListener,
  KeySpace,
  type OptionNames,
  type RandomSource,
  systemClock,
  systemRandom,
} from "@larder/cache-core";
import { BeatQueue } from "./beat-queue.ts";
import type { BodySigner } from "./body-signer.ts";
import { BusChannel } from "./bus-channel.ts";
import type { BusPort } from "./bus-port.ts";
import { type BusCounters, type BusStats, countError, createBusCounters } from "./bus-stats.ts";
import { Inbox } from "./inbox.ts";
import type { Lane } from "./lane.ts";

/** What every bus with a log takes. All processes, and a second tier, agree on `keyPrefix` and `lanes`. */
export interface PortBusOptions {
  /** What comes before every key and channel. Non-empty, without braces and lone surrogates. @default "larder" */
  readonly keyPrefix?: string;
  /** Lanes, 1 to 16384: 1 for a single server, several on a cluster, so that the load spreads over the masters. Each has a heartbeat of its own, so some hundreds are much. @default 1; over Redis Cluster 16 */
  readonly lanes?: number;
  /** Milliseconds > 0 between heartbeats. Keep it below a third of the smallest `maxStalenessMs`. @default 250 */
  readonly heartbeatMs?: number;
  /** Milliseconds > 0 after which a call to Redis is given up; an invalidation's own budget may be shorter. @default 1000 */
  readonly timeoutMs?: number;
  /** Invalidations kept in each lane's log, about: what a process may miss and still learn exactly. Integer >= 1. @default 10000 */
  readonly logLength?: number;
  /** Milliseconds > 0 for which the mark of an invalidated tag is kept: longer than any entry lives. @default 7 days */
  readonly tagMs?: number;
  /** Signs invalidations, and ignores those without a right signature. See `createBodySigner`. @default none */
  readonly signer?: BodySigner;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** @default the machine's random source */
  readonly random?: RandomSource;
}

/** Their names. */
export const PORT_BUS_OPTIONS: OptionNames<PortBusOptions> = {
  keyPrefix: true,
  lanes: true,
  heartbeatMs: true,
  timeoutMs: true,
  logLength: true,
  tagMs: true,
  signer: true,
  clock: true,
  random: true,
};

/** What goes out on `node:diagnostics_channel` under `larder:bus-connection`. */
export interface BusConnectionEvent {
  readonly originId: string;
  /** `"subscribed"`: the subscription was acknowledged. `"lost"`: its connection ended. `"deaf"`: it looked alive, delivered nothing and is replaced. */
  readonly state: "subscribed" | "lost" | "deaf";
}

/** What is written to Redis without an exponent, and leaves room in its 64 bits for the time of day. */
const LARGEST_COUNT = 1e15;

/** Passes a number > 0 that Redis and timers can take. */
function checkFinite(name: string, value: number): void {
  checkDurationMs(name, value);
  if (value === Infinity) throw new CacheError("ERR_CACHE_INVALID_OPTION", `${name} must be finite, got Infinity`);
}

const connectionEvents = diagnosticsChannel("larder:bus-connection");

/**
 * Invalidations pushed through a port, with exact recovery of what was missed: see the essay in `lane.ts`. What lies behind the port
 * (Redis, a primary process, a simulated server) runs three scripts and carries messages.
 */
export class PortInvalidationBus implements InvalidationBus {
  readonly originId: string;
  readonly #options: PortBusOptions;
  readonly #settings: { readonly heartbeatMs: number; readonly timeoutMs: number; readonly logLength: number; readonly tagMs: number };
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #port: BusPort;
  readonly #counters: BusCounters = createBusCounters();
  readonly #channels: Set<BusChannel> = new Set();
  /** Who listens on a Redis channel. */
  readonly #lanes: Map<string, Set<Lane>> = new Map();
  readonly #inbox: Inbox;
  readonly #beats: BeatQueue = new BeatQueue();
  #cancelHeartbeat: CancelTimer = () => {};
  /** The port can never work. */
  #failure: CacheError | undefined;
  #isConnected = false;
  #isClosed = false;
  #joined = 0;
  #redisTimeOffsetMs: number | undefined;

  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION when an option is out of range */
  constructor(port: BusPort, options: PortBusOptions) {
    const { heartbeatMs = 250, timeoutMs = 1_000, logLength = 10_000, tagMs = 7 * 86_400_000 } = options;
    const { clock = systemClock, random = systemRandom, signer } = options;
    // With an empty secret's in its place nothing could be told, and with null what is heard would throw where nobody can catch it.
    if (signer !== undefined) checkFunction("signer.sign", signer?.sign);
    for (const [name, value] of Object.entries({ heartbeatMs, timeoutMs, logLength, tagMs })) checkFinite(name, value);
    this.#settings = {
      heartbeatMs,
      timeoutMs,
      logLength: Math.min(checkCount("logLength", logLength), LARGEST_COUNT),
      tagMs: Math.min(Math.ceil(tagMs), LARGEST_COUNT),
    };
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.originId = random.token();
    this.#keySpace("check");
    this.#inbox = new Inbox({ clock, handle: (name, text) => this.#dispatch(name, text), onOverflow: () => this.#onOverflow() });
    this.#port = port;
    this.#port.open({
      onSubscribed: () => this.#onSubscribed(),
      onReachable: () => this.#onReachable(),
      onLost: () => this.#onLost(),
      onMessage: (name, text) => this.#inbox.push(name, text),
      onError: (error) => this.#onError(error),
    });
    this.#planHeartbeat();
  }

  join(namespace: string, listener: InvalidationListener): InvalidationChannel {
    if (this.#isClosed) throw new CacheError("ERR_CACHE_CLOSED", "the bus has been closed");
    this.#joined += 1;
    const channel = new BusChannel({
      ...this.#settings,
      port: this.#port,
      clock: this.#clock,
      random: this.#random,
      counters: this.#counters,
      signer: this.#options.signer,
      keySpace: this.#keySpace(namespace),
      // Two caches of one namespace on one bus are told of each other's invalidations.
      originId: `${this.originId}.${this.#joined}`,
      listener,
      onBeatWanted: (lane) => this.#beats.add([lane]),
      onRedisTime: (redisAt, sentAt, answeredAt) => this.#onRedisTime(redisAt, sentAt, answeredAt),
      onLeave: (left) => this.#onLeave(left),
    });
    this.#channels.add(channel);
    if (this.#failure) channel.fail(this.#failure);
    for (const lane of channel.lanes) this.#listen(lane);
    this.#port.subscribe(channel.lanes.flatMap((lane) => [lane.channel, lane.heartbeatChannel]));
    return channel;
  }

  /** Counters and state since the bus was made. */
  stats(): BusStats {
    const provenAt = Math.min(...[...this.#channels].map((channel) => channel.lastProofAt));
    return Object.freeze({
      ...this.#counters,
      isConnected: this.#isConnected,
      lastProofAgeMs: this.#channels.size === 0 ? Infinity : this.#clock.now() - provenAt,
      redisTimeOffsetMs: this.#redisTimeOffsetMs,
    });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelHeartbeat();
    for (const channel of [...this.#channels]) channel.leave();
    this.#inbox.clear();
    this.#port.close();
    this.#isConnected = false;
  }

  #keySpace(namespace: string): KeySpace {
    const { keyPrefix, lanes = 1 } = this.#options;
    return new KeySpace({ namespace, lanes, ...(keyPrefix === undefined ? {} : { keyPrefix }) });
  }

  #listen(lane: Lane): void {
    for (const name of [lane.channel, lane.heartbeatChannel]) {
      const listeners = this.#lanes.get(name) ?? new Set();
      this.#lanes.set(name, listeners.add(lane));
    }
  }

  #onLeave(channel: BusChannel): void {
    this.#channels.delete(channel);
    this.#beats.remove(channel.lanes);
    const silent: string[] = [];
    for (const lane of channel.lanes) {
      for (const name of [lane.channel, lane.heartbeatChannel]) {
        const listeners = this.#lanes.get(name);
        listeners?.delete(lane);
        if (listeners?.size === 0) silent.push(name);
      }
    }
    for (const name of silent) this.#lanes.delete(name);
    if (!this.#isClosed) this.#port.unsubscribe(silent);
  }

  #dispatch(name: string, text: string): void {
    for (const lane of this.#lanes.get(name) ?? []) {
      if (name === lane.heartbeatChannel) lane.onHeartbeat(text);
      else lane.onMessage(text);
    }
  }

  #onOverflow(): void {
    this.#counters.overflows += 1;
    for (const lane of this.#allLanes()) lane.onOverflow();
  }

  #onSubscribed(): void {
    if (this.#isClosed) return;
    const isAnew = !this.#isConnected;
    this.#isConnected = true;
    this.#counters.subscriptions += 1;
    this.#announce("subscribed");
    // Of a connection that stood already, only the lanes that have joined since hear for the first time.
    for (const lane of this.#allLanes()) if (isAnew || !lane.isSubscribed) lane.onSubscribed();
    if (isAnew) this.#planHeartbeat();
  }

  /** The subscription may stand already, its check having failed for want of this connection: nothing is proved until it is repeated. */
  #onReachable(): void {
    if (!this.#isClosed) this.#beat();
  }

  #onError(error: unknown): void {
    countError(this.#counters, error);
    if (!CacheError.is(error) || error.code !== "ERR_CACHE_INVALID_OPTION") return;
    this.#failure = error;
    for (const channel of this.#channels) channel.fail(error);
  }

  #onLost(): void {
    for (const lane of this.#allLanes()) lane.onLost();
    if (!this.#isConnected) return;
    this.#isConnected = false;
    this.#announce("lost");
  }

  #onRedisTime(redisAt: number, sentAt: number, answeredAt: number): void {
    if (Number.isFinite(redisAt)) this.#redisTimeOffsetMs = redisAt - (sentAt + answeredAt) / 2;
  }

  #planHeartbeat(): void {
    this.#cancelHeartbeat();
    this.#cancelHeartbeat = this.#clock.setTimer(() => this.#beat(), this.#settings.heartbeatMs);
  }

  /** Goes on while the subscriber is away too: the answers tell whether Redis is there for invalidations. */
  #beat(): void {
    this.#planHeartbeat();
    const lanes = this.#allLanes();
    if (this.#isConnected && lanes.some((lane) => lane.isDeaf)) {
      this.#isConnected = false;
      this.#announce("deaf");
      for (const lane of lanes) lane.onLost();
      this.#port.reconnectSubscriber();
    }
    this.#beats.add(lanes);
  }

  #allLanes(): Lane[] {
    return [...this.#channels].flatMap((channel) => channel.lanes);
  }

  #announce(state: BusConnectionEvent["state"]): void {
    if (connectionEvents.hasSubscribers) connectionEvents.publish({ originId: this.originId, state } satisfies BusConnectionEvent);
  }
}
