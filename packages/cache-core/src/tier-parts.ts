import { BackgroundWrites } from "./background-writes.ts";
import { publishEvent } from "./events.ts";
import { Flights } from "./flights.ts";
import { Generations } from "./generations.ts";
import { InvalidationDesk } from "./invalidation-desk.ts";
import { InvalidationMarks } from "./invalidation-marks.ts";
import { LoadRunner } from "./load-runner.ts";
import { Proof } from "./proof.ts";
import { createCounters, type MutableCounters } from "./stats.ts";
import type { TieredCacheSettings } from "./tiered-cache-options.ts";

/** What works for one `TieredCache`. */
export interface TierParts<V> {
  readonly counters: MutableCounters;
  readonly marks: InvalidationMarks;
  readonly proof: Proof;
  readonly flights: Flights<V>;
  readonly runner: LoadRunner<V>;
  readonly desk: InvalidationDesk<V>;
  readonly writes: BackgroundWrites;
}

/** Makes the parts and joins them: loads ask the desk what is on its way, the desk detaches loads, and all count into the same counters. */
export function createTierParts<V>(settings: TieredCacheSettings<V>): TierParts<V> {
  const { namespace, l1, l2, clock, random, backendBudgetMs, maxPendingInvalidations } = settings;
  const counters = createCounters();
  const marks = new InvalidationMarks();
  const generations = new Generations();
  const writes = new BackgroundWrites();
  const proof = createProof(settings);
  const shared = { namespace, l1, l2, clock, counters, generations, marks, proof };
  const runner: LoadRunner<V> = new LoadRunner<V>({
    ...shared,
    random,
    backendBudgetMs,
    isBypassed: (key) => desk.covers(key),
    followWithLoad: (key, entry) => flights.followWithLoad(key, entry),
    trackWrite: (write) => writes.add(write),
  });
  const flights: Flights<V> = new Flights<V>({ ...shared, run: (request) => runner.run(request) });
  const desk: InvalidationDesk<V> = new InvalidationDesk<V>({
    ...shared,
    flights,
    maxPending: maxPendingInvalidations,
    createCall: () => runner.createCall(),
  });
  return { counters, marks, proof, flights, runner, desk, writes };
}

function createProof<V>({ namespace, clock, maxStalenessMs }: TieredCacheSettings<V>): Proof {
  return new Proof({
    clock,
    maxStalenessMs,
    onLost: () => publishEvent("bus-lost", () => ({ namespace, sinceAt: clock.wallNow() })),
    onRecovered: (lostForMs) => publishEvent("bus-recovered", () => ({ namespace, lostForMs })),
  });
}
