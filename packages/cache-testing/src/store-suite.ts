import {
  type BackendCall,
  Budget,
  type FencedStore,
  type FillOptions,
  type FillOutcome,
  type Reservation,
  systemClock,
} from "@larder/cache-core";
import type { DescribeStoreOptions, StorePair } from "./describe-store-options.ts";
import { Suite } from "./suite.ts";

/** What the parts of the suite of shared stores are written with. Parts take its members out of it. */
export class StoreSuite extends Suite<DescribeStoreOptions> {
  /** The terms of one call. */
  readonly call = (): BackendCall => ({ budget: new Budget(this.options.callMs ?? 2_000, systemClock) });

  /** Runs a test on a store of its own. */
  readonly withPair = async (run: (pair: StorePair) => Promise<void>): Promise<void> => {
    const pair = await this.options.create();
    try {
      await run(pair);
    } finally {
      await pair.a.close();
      await pair.b.close();
      await pair.dispose?.();
    }
  };

  /** What a miss takes before its load. @throws when the store cannot be used */
  readonly reserve = async (store: FencedStore<unknown>, key: string, lease = false): Promise<Reservation<unknown>> => {
    const reservation = await store.reserve(key, lease, this.call());
    if (!reservation) throw new Error(`the store gave no reservation of ${key}`);
    return reservation;
  };

  /** A load from its reservation to its fill. */
  readonly load = async (
    store: FencedStore<unknown>,
    key: string,
    value: unknown,
    options: Partial<FillOptions> = {},
  ): Promise<FillOutcome> => store.fill(await this.reserve(store, key), value, fillOptions(options));

  /** What a store holds of a key, live or stale. */
  readonly valueIn = async (store: FencedStore<unknown>, key: string): Promise<unknown> => (await store.read(key, this.call()))?.value;
}

/** Kept for ever, without a stale window or tags, but for what is said. */
export function fillOptions(options: Partial<FillOptions> = {}): FillOptions {
  return { ttlMs: Infinity, staleMs: 0, tags: [], ...options };
}
