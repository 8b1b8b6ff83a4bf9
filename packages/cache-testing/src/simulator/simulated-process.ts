import type { CacheStats, CancelTimer, Clock, InvalidationBus, RandomSource, ReadThroughCache } from "@larder/cache-core";
import { type Asked, checkBooks } from "./check-books.ts";
import type { SchedulePlan } from "./schedule-plan.ts";
import { SeededRandom } from "./seeded-random.ts";
import type { SimulatedAddress } from "./simulated-address.ts";
import type { PortContext } from "./simulated-lanes.ts";
import type { SimulatedLink } from "./simulated-link.ts";
import { SimulatedBusPort, SimulatedRedisPort } from "./simulated-ports.ts";
import type { VirtualTime } from "./virtual-time.ts";
import { watchBus } from "./watch-bus.ts";

/** What a simulated process is given to make its cache of. */
export interface ProcessContext {
  /** Which process of the schedule this is, from 0, and how often it has crashed before. */
  readonly index: number;
  readonly life: number;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly redisPort: SimulatedRedisPort;
  readonly busPort: SimulatedBusPort;
  /** The schedule's time to live in milliseconds. */
  readonly ttlMs: number;
  /** Entries that the first tier may hold. */
  readonly maxEntries: number;
  /** Into how many lanes bus and second tier are split. */
  readonly lanes: number;
  /** Passes a bus on, and lets the simulator know what it makes the cache drop: without it, loads are not counted (I5). */
  readonly watch: (bus: InvalidationBus) => InvalidationBus;
  /** For a bus that is not over the simulated server. */
  readonly elsewhere: Elsewhere;
  /** Milliseconds for the second tier's calls and the cache's budget for them; `undefined`: their own defaults. */
  readonly deadlineMs: number | undefined;
}

/** What a bus of another kind than the one over the simulated server tells the simulator. */
export interface Elsewhere {
  /** Stands for the schedule: what its processes share is kept by it. */
  readonly schedule: object;
  /** An invalidation has got its place in the order, and is on its way to everybody. */
  onPublish(channel: string, text: string): void;
  /** It was handed to this process. */
  onDelivery(channel: string, text: string): void;
}

/** Makes one process's cache, from the product's own parts over the simulated connections. */
export type CreateProcess = (context: ProcessContext) => ReadThroughCache<unknown>;

/** What is wrong with the processes, to prove that the simulator notices. */
export interface ProcessAblations {
  /** Calls of the second tier wait for as long as they take. */
  readonly noReadDeadline?: boolean;
  /** Nothing ends, whatever the schedule's time to live. */
  readonly noTimeToLive?: boolean;
  /** The first tier holds whatever comes. */
  readonly noEntryLimit?: boolean;
  /** A counter loses an update now and then. */
  readonly miscounts?: boolean;
}

/** What the processes of a schedule share. */
export interface SharedWorld {
  readonly plan: SchedulePlan;
  readonly time: VirtualTime;
  /** The second tier's, one for each shard, and the bus's: the same, unless the plan sets them apart. */
  readonly store: readonly SimulatedAddress[];
  readonly bus: readonly SimulatedAddress[];
  readonly create: CreateProcess;
  readonly ablations: ProcessAblations;
  /** A message was published, or handed to a live process. */
  onPublish(channel: string, text: string): void;
  onDelivery(process: SimulatedProcess, channel: string, text: string): void;
  /** A live process's bus made it drop a key, or several: `undefined`. */
  onTold(process: SimulatedProcess, key: string | undefined): void;
}

/** Longer than any schedule. */
const NO_DEADLINE_MS = 60_000;
/** Entries that a first tier may hold where the plan does not say. */
const ROOMY = 16;

/** The streams of random bits of one life of a process: each its own, so that what one part does leaves the others' luck alone. */
const STREAMS = { process: 1, store: 2, bus: 3 } as const;

/** One life of a process, from its start to its crash or the schedule's end. */
export class SimulatedProcess {
  /** Which process of the schedule this is. */
  readonly index: number;
  readonly cache: ReadThroughCache<unknown>;
  /** All its connections: the second tier's, then the bus's. */
  readonly links: readonly SimulatedLink[];
  readonly #redisPort: SimulatedRedisPort;
  readonly #busPort: SimulatedBusPort;
  isAlive = true;
  isPaused = false;
  /** It is asked for nothing more, and goes when it is done. */
  isClosing = false;
  /** Whether its event loop has ever stood still: its reads may then have taken long. */
  wasPaused = false;
  /** Whether it has its bus watched. */
  isWatched = false;
  /** What it was asked for. */
  readonly asked: Asked = { reads: 0, open: 0, found: 0, missed: 0, invalidations: 0, loaders: 0, failed: 0 };
  /** By how much its wall clock is off, in milliseconds. */
  wallSkewMs = 0;
  /** Its bus's, which begins that of the messages it sends; where it has none watched, the first token that it drew, which most make it of. */
  origin = "";
  readonly #world: SharedWorld;
  readonly #clock: Clock;
  #heldTimers: Array<() => void> = [];

  /** @param life 0 for its first, one more after each crash */
  constructor(world: SharedWorld, index: number, life: number) {
    this.#world = world;
    this.index = index;
    const { time, plan, store, bus } = world;
    const clock = this.#createClock();
    this.#clock = clock;
    const onDelivery = (channel: string, text: string): void => {
      if (this.isAlive) world.onDelivery(this, channel, text);
    };
    const streamOf = (stream: number): SeededRandom => SeededRandom.of(plan.seed, index, life, stream);
    const context = { time, clock, weather: plan.weather, onDelivery };
    const contextsOf = (addresses: readonly SimulatedAddress[], random: SeededRandom, resend = 0): PortContext[] =>
      addresses.map((address) => ({ ...context, address, random, resend }));
    const redisPort = new SimulatedRedisPort(contextsOf(store, streamOf(STREAMS.store), plan.resend));
    const busPort = new SimulatedBusPort(contextsOf(bus, streamOf(STREAMS.bus)));
    this.#redisPort = redisPort;
    this.#busPort = busPort;
    this.links = [...redisPort.links, ...busPort.links];
    const random = this.#rememberOrigin(streamOf(STREAMS.process));
    const elsewhere: Elsewhere = { schedule: world, onPublish: (channel, text) => world.onPublish(channel, text), onDelivery };
    this.cache = world.create({ index, life, clock, random, redisPort, busPort, elsewhere, ...this.#settings() });
  }

  /** Whether it can be asked for something. */
  get isServing(): boolean {
    return this.isAlive && !this.isClosing;
  }

  /** Has something run in its event loop: later, when that stands still, and never when it is gone. */
  runLater(delayMs: number, run: () => void): void {
    this.#clock.setTimer(run, delayMs);
  }

  /** What is wrong with what its cache counts and holds. */
  checkBooks(): string[] {
    // The designs that larder is compared with count nothing.
    const { cache } = this;
    if (typeof cache.stats !== "function") return [];
    const stats: CacheStats = cache.stats();
    const told = this.#world.ablations.miscounts ? { ...stats, misses: stats.misses - 1 } : stats;
    return checkBooks(told, this.asked, this.#maxEntries).map((problem) => `${problem} in process ${this.index}`);
  }

  /** Whether it has a second tier, and is connected to it. */
  get hasStore(): boolean {
    return this.links[0]?.isUp === true;
  }

  /** Its connections to one of the servers. */
  linksTo(address: SimulatedAddress): readonly SimulatedLink[] {
    return [...this.#redisPort.linksTo(address), ...this.#busPort.linksTo(address)];
  }

  /** When the latest of the heartbeats was sent that it has heard; `-Infinity` where its cache sends none. */
  get heardBeatAt(): number {
    return this.#busPort.heardBeatAt;
  }

  /** Its event loop stands still. */
  pause(): void {
    this.isPaused = true;
    this.wasPaused = true;
    for (const link of this.links) link.stall();
  }

  /** It goes on: late timers fire, and what its sockets hold is read as it comes. @param random when, within a millisecond */
  resume(random: SeededRandom): void {
    this.isPaused = false;
    const { time } = this.#world;
    for (const fire of this.#heldTimers.splice(0)) time.schedule(0, fire);
    for (const link of this.links) time.schedule(random.next(), () => link.resume());
  }

  /** What its bus is sent in a lane is lost, while the connection stands. */
  mute(lane: number): void {
    this.#busPort.mute(lane);
  }

  /** All of it comes again. */
  unmute(): void {
    this.#busPort.unmute();
  }

  /** Its bus is sent messages that nobody understands, each so long that it takes a turn. */
  flood(messages: number): void {
    this.#busPort.flood(messages);
  }

  /** It is gone, without a word. */
  stop(): void {
    this.isAlive = false;
    for (const link of this.links) link.close();
  }

  get #maxEntries(): number {
    return this.#world.plan.maxEntries ?? ROOMY;
  }

  #settings(): Pick<ProcessContext, "ttlMs" | "maxEntries" | "lanes" | "watch" | "deadlineMs"> {
    const { plan, ablations, onTold } = this.#world;
    return {
      ttlMs: ablations.noTimeToLive ? Infinity : plan.ttlMs,
      maxEntries: ablations.noEntryLimit ? ROOMY : this.#maxEntries,
      lanes: plan.lanes ?? 1,
      deadlineMs: ablations.noReadDeadline ? NO_DEADLINE_MS : undefined,
      watch: (bus) => {
        this.isWatched = true;
        this.origin = bus.originId;
        return watchBus(bus, (key) => this.isAlive && onTold(this, key));
      },
    };
  }

  #rememberOrigin(random: SeededRandom): RandomSource {
    return {
      next: () => random.next(),
      token: () => {
        const token = random.token();
        if (this.origin === "") this.origin = token;
        return token;
      },
    };
  }

  #createClock(): Clock {
    const { time, store } = this.#world;
    const { redis } = (store[0] as SimulatedAddress).master;
    return {
      now: () => time.now,
      wallNow: () => redis.trueNow + this.wallSkewMs,
      setTimer: (callback, delayMs): CancelTimer => {
        if (delayMs === Infinity) return () => {};
        let isCancelled = false;
        const fire = (): void => {
          if (isCancelled || !this.isAlive) return;
          if (this.isPaused) this.#heldTimers.push(fire);
          else callback();
        };
        const cancel = time.scheduleTimer(delayMs, fire);
        return () => {
          isCancelled = true;
          cancel();
        };
      },
    };
  }
}
