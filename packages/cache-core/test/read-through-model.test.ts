// What is proven here: in one process, over one tier and over two, every read-through call is answered as the pages on stale policies and
// stampedes say, whatever its options and whatever came before, and the counters say the same. The tools depend on this package, so that it
// cannot depend on theirs: they are imported by path.
import fc from "fast-check";
import { expect, it } from "vitest";
import { ManualClock, settle } from "../../cache-testing/src/manual-clock.ts";
import { NaiveCache } from "../../cache-testing/src/naive-cache.ts";
import { NaiveStore } from "../../cache-testing/src/naive-store.ts";
import { CacheError, type GetOrSetOptions, type LoadContext, type LoadDefaults, TieredCache } from "../src/index.ts";
import { type ModelLoad, type ModelPolicy, ReadThroughModel, toldValue } from "./read-through-model.ts";

const RUNS = Number(process.env.LARDER_READ_THROUGH_RUNS ?? 1_000);

// Fractions keep apart what would else fall due in the same instant, where either order is right.
const maybe = <T>(...values: readonly T[]): fc.Arbitrary<T | undefined> =>
  fc.option(fc.constantFrom(...values), { nil: undefined, freq: 2 });
const policyOptions = {
  ttlMs: maybe(15, 60),
  staleWhileRevalidateMs: maybe(0, 30, 200),
  staleIfErrorMs: maybe(0, 60, 300),
  negativeTtlMs: maybe(11, 70),
  errorTtlMs: maybe(25, 90),
  softTimeoutMs: maybe(4.25, 14.25),
  timeoutMs: maybe(8.75, 30.75),
};
const callOptions = fc.record({ ...policyOptions, forceRefresh: maybe(true), tags: maybe(["red"], ["blue"]) });
const load: fc.Arbitrary<ModelLoad> = fc.record({
  delayMs: fc.constantFrom(0, 0, 5.5, 10.5, 20.5, 60.5, Infinity),
  fails: fc.nat({ max: 3 }).map((dice) => dice === 0),
  value: fc.oneof(fc.nat({ max: 999 }), fc.constant(null), fc.constantFrom(undefined, 0, "", false)),
  isSkipped: fc.nat({ max: 9 }).map((dice) => dice === 0),
  ttlMs: maybe(7, 150),
});
const key = fc.constantFrom("a", "b");
const step = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: fc.constant("getOrSet" as const), key, options: callOptions, load, canAbort: fc.boolean() }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: fc.constantFrom(1, 7, 13, 29, 55, 131) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom("get" as const, "set" as const, "invalidate" as const, "delete" as const), key }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("tag" as const, "pattern" as const, "all" as const, "clear" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("abort" as const), which: fc.nat({ max: 9 }) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Options without those that are `undefined`. */
function given(options: object): GetOrSetOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function toldError(error: unknown): string {
  return CacheError.is(error) ? error.code : String((error as Error).message);
}

/** What the two said to one call. */
interface Answers {
  cache?: string;
  model?: string;
}

/** The cache and the model side by side, and what each of them answered. */
class SideBySide {
  readonly #clock: ManualClock = new ManualClock();
  readonly #model: ReadThroughModel = new ReadThroughModel();
  readonly #cache: TieredCache<unknown>;
  readonly #defaults: LoadDefaults;
  readonly #aborts: Array<() => void> = [];
  readonly #answers: Answers[] = [];

  constructor(defaults: LoadDefaults, hasSecondTier: boolean) {
    const clock = this.#clock;
    const l2 = hasSecondTier ? { l2: new NaiveStore<unknown>({ clock }), backendBudgetMs: Infinity } : {};
    this.#defaults = { ttlMs: 100, ...defaults };
    this.#cache = new TieredCache<unknown>({ l1: new NaiveCache({ clock }), clock, jitter: 0, ...l2, ...this.#defaults });
  }

  async take(step: Step): Promise<void> {
    if (step.kind === "getOrSet") this.#getOrSet(step);
    else if (step.kind === "advance") await this.#advance(step.ms);
    else if (step.kind === "abort") this.#aborts[step.which]?.();
    else if ("key" in step) await this.#act(step.kind, step.key);
    else await this.#drop(step.kind);
    // The model ends a load that takes no time at once, the cache some turns of the event loop later.
    for (let turn = 0; turn < 6; turn += 1) await settle();
  }

  async compare(): Promise<void> {
    await this.#advance(1_000);
    for (const { cache, model } of this.#answers) expect(cache).toBe(model);
    expect(this.#cache.stats()).toMatchObject(this.#model.counts);
    await this.#cache.close();
  }

  async #advance(ms: number): Promise<void> {
    await this.#clock.advanceAsync(ms);
    this.#model.advance(ms);
  }

  #getOrSet({ key, options, load, canAbort }: Extract<Step, { readonly kind: "getOrSet" }>): void {
    const told: Answers = {};
    this.#answers.push(told);
    const cacheTold = (answer: string): void => {
      told.cache = answer;
    };
    const modelTold = (answer: string): void => {
      told.model = answer;
    };
    const controller = new AbortController();
    const asked = given({ ...options, signal: canAbort ? controller.signal : undefined });
    const answered = (async () => this.#cache.getOrSet(key, (context) => this.#load(load, context), asked))();
    answered.then(toldValue, toldError).then(cacheTold);
    const abort = this.#model.getOrSet(key, load, this.#policyOf(asked), modelTold);
    if (!canAbort) return;
    this.#aborts.push(() => {
      controller.abort();
      abort();
    });
  }

  #policyOf(asked: GetOrSetOptions): ModelPolicy {
    const { staleWhileRevalidateMs = 0, staleIfErrorMs = 0, softTimeoutMs = Infinity, ...rest } = { ...this.#defaults, ...asked };
    const { ttlMs = 100, timeoutMs = Infinity, negativeTtlMs, errorTtlMs, forceRefresh = false, tags = [] } = rest;
    const windows = { staleWhileRevalidateMs, staleIfErrorMs };
    return { ttlMs, ...windows, negativeTtlMs, errorTtlMs, softTimeoutMs, timeoutMs, forceRefresh, tags };
  }

  #load({ delayMs, fails, value, isSkipped, ttlMs }: ModelLoad, context: LoadContext<unknown>): unknown {
    if (isSkipped) context.skipStore();
    if (ttlMs !== undefined) context.setOptions({ ttlMs });
    const end = (): unknown => {
      if (fails) throw new Error("failed");
      return value;
    };
    if (delayMs === 0) return end();
    const time = new Promise<void>((resolve) => delayMs !== Infinity && this.#clock.setTimer(resolve, delayMs));
    return time.then(end);
  }

  async #act(kind: "get" | "set" | "invalidate" | "delete", key: string): Promise<void> {
    const cache = this.#cache;
    if (kind === "get") this.#answers.push({ cache: toldValue(await cache.get(key)), model: this.#model.get(key) });
    else if (kind === "set") {
      await cache.set(key, "set", { ttlMs: 40, tags: ["red"] });
      this.#model.set(key, "set", 40, ["red"]);
    } else {
      await cache[kind](key);
      this.#model.drop(key);
    }
  }

  async #drop(kind: "tag" | "pattern" | "all" | "clear"): Promise<void> {
    const cache = this.#cache;
    if (kind === "tag") await cache.invalidateTag("red");
    else if (kind === "pattern") await cache.invalidateMatching("a*");
    else if (kind === "all") await cache.invalidateAll();
    else await cache.clear();
    this.#model.dropWhere((key, tags) => (kind === "tag" ? tags.includes("red") : kind === "pattern" ? key === "a" : true));
  }
}

for (const tiers of [1, 2]) {
  it(`answers as the naive model of read-through does, whatever was asked for, over ${tiers === 1 ? "one tier" : "two tiers"}`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.record(policyOptions), fc.array(step, { minLength: 3, maxLength: 25 }), async (defaults, steps) => {
        const pair = new SideBySide(given(defaults), tiers === 2);
        for (const taken of steps) await pair.take(taken);
        await pair.compare();
      }),
      { numRuns: RUNS },
    );
  });
}
