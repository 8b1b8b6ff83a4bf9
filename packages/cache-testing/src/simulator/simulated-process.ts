import type { CancelTimer, Clock, RandomSource, ReadThroughCache } from "@larder/cache-core";
import type { SchedulePlan } from "./schedule-plan.ts";
import { SeededRandom } from "./seeded-random.ts";
import type { SimulatedLink } from "./simulated-link.ts";
import { SimulatedBusPort, SimulatedRedisPort } from "./simulated-ports.ts";
import type { SimulatedRedis } from "./simulated-redis.ts";
import type { SimulatedScripts } from "./simulated-scripts.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** What a simulated process is given to make its cache of. */
export interface ProcessContext {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly redisPort: SimulatedRedisPort;
  readonly busPort: SimulatedBusPort;
  /** The schedule's time to live in milliseconds. */
  readonly ttlMs: number;
  /** Milliseconds for the second tier's calls and the cache's budget for them; `undefined`: their own defaults. */
  readonly deadlineMs: number | undefined;
}

/** Makes one process's cache, from the product's own parts over the simulated connections. */
export type CreateProcess = (context: ProcessContext) => ReadThroughCache<unknown>;

/** What the processes of a schedule share. */
export interface SharedWorld {
  readonly plan: SchedulePlan;
  readonly time: VirtualTime;
  readonly redis: SimulatedRedis;
  readonly scripts: SimulatedScripts;
  readonly create: CreateProcess;
  readonly deadlineMs: number | undefined;
  /** A message was handed to a live process. */
  onDelivery(process: SimulatedProcess, text: string): void;
}

/** The streams of random bits of one life of a process: each its own, so that what one part does leaves the others' luck alone. */
const STREAMS = { process: 1, store: 2, bus: 3 } as const;

/** One life of a process, from its start to its crash or the schedule's end. */
export class SimulatedProcess {
  /** Which process of the schedule this is. */
  readonly index: number;
  readonly cache: ReadThroughCache<unknown>;
  /** All its connections: the second tier's, then the bus's. */
  readonly links: readonly SimulatedLink[];
  readonly #busPort: SimulatedBusPort;
  isAlive = true;
  isPaused = false;
  /** Whether its event loop has ever stood still: its reads may then have taken long. */
  wasPaused = false;
  /** By how much its wall clock is off, in milliseconds. */
  wallSkewMs = 0;
  /** The first token that it drew. Its bus's origin: the messages it sends begin with it. */
  origin = "";
  readonly #world: SharedWorld;
  #heldTimers: Array<() => void> = [];

  /** @param life 0 for its first, one more after each crash */
  constructor(world: SharedWorld, index: number, life: number) {
    this.#world = world;
    this.index = index;
    const { time, plan, redis, scripts } = world;
    const clock = this.#createClock();
    const onDelivery = (_: string, text: string): void => {
      if (this.isAlive) world.onDelivery(this, text);
    };
    const streamOf = (stream: number): SeededRandom => SeededRandom.of(plan.seed, index, life, stream);
    const context = { time, clock, weather: plan.weather, redis, scripts, onDelivery };
    const redisPort = new SimulatedRedisPort({ ...context, random: streamOf(STREAMS.store) });
    const busPort = new SimulatedBusPort({ ...context, random: streamOf(STREAMS.bus) });
    this.#busPort = busPort;
    this.links = [...redisPort.links, ...busPort.links];
    const random = this.#rememberOrigin(streamOf(STREAMS.process));
    this.cache = world.create({ clock, random, redisPort, busPort, ttlMs: plan.ttlMs, deadlineMs: world.deadlineMs });
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

  /** It is gone, without a word. */
  stop(): void {
    this.isAlive = false;
    for (const link of this.links) link.close();
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
    const { time, redis } = this.#world;
    return {
      now: () => time.now,
      wallNow: () => redis.now + this.wallSkewMs,
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
