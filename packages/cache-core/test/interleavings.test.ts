// What is proven here: whatever the order in which loads, answers of the second tier, invalidations, aborts and timeouts come about, reads
// keep the promises below. fast-check's scheduler holds every await in its hand and picks the next one to go on; a counterexample is shrunk to
// the few steps that matter. The simulator of cache-testing does the like for whole fleets over Redis, without the shrinking of orders.
// These tools depend on this package, so that it cannot depend on theirs: they are imported by path.
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { ManualClock, settle } from "../../cache-testing/src/manual-clock.ts";
import { NaiveCache } from "../../cache-testing/src/naive-cache.ts";
import { NaiveStore } from "../../cache-testing/src/naive-store.ts";
import { ablated, CacheError, type Loader, type Mechanism, MemoryInvalidationBus, TieredCache } from "../src/index.ts";

const KEY = "key";
const TIMEOUT_MS = 100;
const MAX_HOPS = 5_000;
/** Orders tried, some eight hundred a second. */
const RUNS = Number(process.env.LARDER_INTERLEAVINGS ?? 1_000);

type Step =
  | { readonly kind: "get"; readonly on: number; readonly canAbort: boolean; readonly isHurried: boolean; readonly fails: boolean }
  | { readonly kind: "invalidate" | "set"; readonly on: number }
  | { readonly kind: "abort"; readonly which: number }
  | { readonly kind: "fault"; readonly leg: "request" | "reply" }
  | { readonly kind: "wait" };

const on = fc.nat({ max: 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("get" as const),
      on,
      canAbort: fc.boolean(),
      isHurried: fc.boolean(),
      fails: fc.nat({ max: 5 }).map((dice) => dice === 0),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("invalidate" as const, "set" as const), on }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("abort" as const), which: fc.nat({ max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("fault" as const), leg: fc.constantFrom("request" as const, "reply" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait" as const) }) },
);

/** One process: its cache, the oldest version that its reads may give, its loads under way, and how many reads it was asked for. */
interface Process {
  readonly cache: TieredCache<number>;
  readonly loads: Set<{ readonly generation: number; readonly isAborted: () => boolean }>;
  floor: number;
  reads: number;
}

/** Two processes over one second tier and one bus, and the database whose versions they cache. */
class World {
  readonly clock: ManualClock = new ManualClock();
  readonly processes: readonly Process[];
  readonly violations: string[] = [];
  readonly #scheduler: fc.Scheduler;
  readonly #controllers: AbortController[] = [];
  readonly #faults: string[] = [];
  /** The generation in which a flight began. Its loader may run later, when the second tier has answered. */
  readonly #begun: WeakMap<object, number> = new WeakMap();
  #version = 1;
  /** Moved by every invalidation that any process may know of. */
  #generation = 0;
  /** Writers take turns from the commit to the answer, as who sets values must. */
  #writing: Promise<unknown> = Promise.resolve();
  #underWay = 0;
  #hops = 0;

  /** @param ttlMs of what is stored; past it the old value is served while a load runs behind it */
  constructor(scheduler: fc.Scheduler, ttlMs: number) {
    this.#scheduler = scheduler;
    const { clock } = this;
    const bus = new MemoryInvalidationBus();
    const travel = async (leg: "request" | "reply", operation: string): Promise<void> => {
      await this.#hop(`${operation} ${leg}`);
      const fault = this.#faults.indexOf(leg);
      if (fault < 0) return;
      this.#faults.splice(fault, 1);
      throw new Error("lost");
    };
    const first = new NaiveStore<number>({ clock, travel });
    const staleWhileRevalidateMs = ttlMs === Infinity ? 0 : Infinity;
    const times = { clock, ttlMs, staleWhileRevalidateMs, jitter: 0, backendBudgetMs: Infinity };
    this.processes = [first, new NaiveStore<number>({ clock, travel }, first)].map((l2) => ({
      cache: new TieredCache<number>({ l1: new NaiveCache({ clock }), l2, bus, ...times }),
      loads: new Set(),
      floor: 0,
      reads: 0,
    }));
    const onInvalidation = (): void => {
      this.#generation += 1;
    };
    bus.join("default", { onInvalidation, onReset: () => {}, onProof: () => {} });
  }

  /** Begins a step; what it does goes on whenever the scheduler lets it. */
  begin(step: Step): void {
    if (step.kind === "get") this.#track(this.#read(step));
    else if (step.kind === "invalidate" || step.kind === "set") this.#track(this.#write(step.kind, this.#process(step.on)));
    else if (step.kind === "abort") this.#controllers[step.which]?.abort();
    else if (step.kind === "fault") this.#faults.push(step.leg);
    else this.clock.advance(TIMEOUT_MS);
  }

  /** Lets everything come to rest, with nothing lost any more, and holds the rest to account. */
  async finish(): Promise<void> {
    this.#faults.length = 0;
    for (let round = 0; round < 50 && (round < 5 || this.#underWay > 0); round += 1) {
      await this.#scheduler.waitIdle();
      this.clock.advance(6_000);
      await settle();
    }
    await this.#scheduler.waitIdle();
    this.#expect(this.#underWay === 0, `${this.#underWay} calls never came back`);
    for (const [index, { cache, reads }] of this.processes.entries()) {
      const stats = cache.stats();
      this.#expect(
        stats.hits + stats.misses === reads,
        `process ${index}: ${stats.hits} hits and ${stats.misses} misses of ${reads} reads`,
      );
      const answer = cache.lookup(KEY);
      await this.#scheduler.waitIdle();
      const held = await answer;
      const isCurrent = held.status === "miss" || held.value === this.#version;
      this.#expect(isCurrent, `at rest process ${index} holds ${JSON.stringify(held)}, the database ${this.#version}`);
    }
  }

  async #read({ on, canAbort, isHurried, fails }: Extract<Step, { kind: "get" }>): Promise<void> {
    const process = this.#process(on);
    const { floor, cache } = process;
    const failure = new Error("the loader's own");
    const controller = canAbort ? new AbortController() : undefined;
    if (controller) this.#controllers.push(controller);
    process.reads += 1;
    const beganAt = this.clock.now();
    try {
      const options = { ...(controller ? { signal: controller.signal } : {}), ...(isHurried ? { timeoutMs: TIMEOUT_MS } : {}) };
      const loader: Loader<number> = ({ cancellation }) => this.#load(process, fails ? failure : undefined, cancellation);
      const answer = cache.getOrSet(KEY, loader, options);
      const flight = cache.loading(KEY);
      if (flight && !this.#begun.has(flight)) this.#begun.set(flight, this.#generation);
      const value = await answer;
      this.#expect(value !== undefined && value >= floor, `read ${value} on ${on} after ${floor} was told`);
    } catch (error) {
      const isAborted = CacheError.is(error) && error.code === "ERR_CACHE_ABORTED";
      const isLate = CacheError.is(error) && error.code === "ERR_CACHE_TIMEOUT";
      if (isAborted) this.#expect(controller?.signal.aborted === true, "failed by another caller's abort");
      else if (isLate) this.#expect(isHurried && this.clock.now() - beganAt >= TIMEOUT_MS, "failed by another caller's timeout");
      else this.#expect(error instanceof Error && error.message === failure.message, `failed by ${String(error)}`);
    }
  }

  async #load(process: Process, failure: Error | undefined, cancellation: { readonly aborted: boolean }): Promise<number> {
    const load = { generation: this.#begun.get(cancellation) ?? this.#generation, isAborted: () => cancellation.aborted };
    for (const other of process.loads) {
      this.#expect(other.generation !== load.generation || other.isAborted(), "two loads of one key and generation in one process");
    }
    process.loads.add(load);
    try {
      await this.#hop("loader asks");
      const version = this.#version;
      await this.#hop("loader is told");
      if (failure) throw failure;
      return version;
    } finally {
      process.loads.delete(load);
    }
  }

  #write(kind: "invalidate" | "set", process: Process): Promise<void> {
    const written = this.#writing.then(async () => {
      await this.#hop("commit");
      this.#version += 1;
      const version = this.#version;
      this.#generation += 1;
      let isTold: boolean;
      if (kind === "set") isTold = await process.cache.set(KEY, version);
      else isTold = (await process.cache.invalidate(KEY)).propagated;
      // A process that was told knows at once; the one that wrote, in any case.
      for (const other of this.processes) if (isTold || other === process) other.floor = Math.max(other.floor, version);
    });
    this.#writing = written;
    return written;
  }

  #process(index: number): Process {
    return this.processes[index] as Process;
  }

  #hop(label: string): Promise<void> {
    this.#hops += 1;
    // Fourteen steps are done after some hundred: what goes on after thousands goes round in circles.
    if (this.#hops === MAX_HOPS) this.violations.push(`does not come to rest: ${label}`);
    if (this.#hops >= MAX_HOPS) return new Promise(() => {});
    return this.#scheduler.schedule(Promise.resolve(), label);
  }

  #track(call: Promise<void>): void {
    this.#underWay += 1;
    void call
      .catch((error: unknown) => this.violations.push(String(error)))
      .finally(() => {
        this.#underWay -= 1;
      });
  }

  #expect(holds: boolean, otherwise: string): void {
    if (!holds) this.violations.push(otherwise);
  }
}

const scripts = fc.array(step, { minLength: 1, maxLength: 14 });
const property = fc.asyncProperty(fc.scheduler(), fc.constantFrom(Infinity, 50), scripts, async (scheduler, ttlMs, steps) => {
  const world = new World(scheduler, ttlMs);
  const { done } = scheduler.scheduleSequence(steps.map((each) => ({ label: each.kind, builder: async () => world.begin(each) })));
  void done;
  await scheduler.waitIdle();
  await world.finish();
  expect(world.violations).toEqual([]);
});

describe("every order of loads, answers, invalidations, aborts and timeouts", () => {
  afterEach(() => ablated.clear());

  it("keeps what reads, loads and callers were promised", () => fc.assert(property, { numRuns: RUNS }), 60_000 + RUNS * 10);

  const mechanisms: readonly Mechanism[] = ["local-generation", "detach", "pending-bypass", "retry", "early-capture"];
  it.each(mechanisms)("does not when a mechanism is off: %s", async (mechanism) => {
    ablated.add(mechanism);
    const { failed } = await fc.check(property, { numRuns: 5_000, seed: 1, endOnFailure: true });
    expect(failed).toBe(true);
  });
});
