import type { InvalidationBus, MaybePromise } from "@larder/cache-core";
import type { TestApi } from "./test-api.ts";

/** Two ends of one bus, made for one test. */
export interface BusPair {
  readonly a: InvalidationBus;
  /** Reaches `a`; may be the same object where one object serves all caches. */
  readonly b: InvalidationBus;
  /** Cuts `b` off from everyone. */
  cut?(): MaybePromise<void>;
  /** Ends the cut. */
  heal?(): MaybePromise<void>;
  /** Loses whatever the backend keeps, as a server that restarts empty. */
  forget?(): MaybePromise<void>;
  /** Releases everything; the buses are closed already. */
  dispose?(): MaybePromise<void>;
}

/** What a bus cannot show. Declared with a reason, so that nothing is skipped in silence. */
export interface MissingBusCapability {
  readonly capability: "cut" | "forget";
  /** Why: stands in the title of the skipped test. */
  readonly reason: string;
}

/** How the suite gets at an implementation. */
export interface DescribeBusOptions {
  /** Two ends of one new bus, as two processes would have them, that nothing else is told on. */
  readonly create: () => MaybePromise<BusPair>;
  /** What the bus cannot show in a test. @default nothing */
  readonly lacks?: readonly MissingBusCapability[];
  /** Time for one invalidation in milliseconds. @default 2000 */
  readonly callMs?: number;
  /** The test functions, where vitest's own are not wanted. @default vitest's */
  readonly testApi?: TestApi;
}
