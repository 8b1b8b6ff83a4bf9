import type { GuardPolicy } from "./guard-policy.ts";
import type { PricePath } from "./prices.ts";
import type { Acceptance, QuarantineEntry } from "./quarantine.ts";
import type { SourceLayer } from "./snapshot.ts";
import type { SourceReading } from "./source.ts";

/** What the guard of one source is given. */
export interface GuardInput {
  readonly source: string;
  readonly reading: SourceReading;
  /** The last good layer; `undefined` before the first. */
  readonly believed: SourceLayer | undefined;
  /** Runs in a row that missed a model, by id. */
  readonly missedRuns: ReadonlyMap<string, number>;
  /** What is held back of this source. */
  readonly quarantine: readonly QuarantineEntry[];
  readonly acceptances: readonly Acceptance[];
  /** What the lists under doubt missed or added at every offer since its time began, by quarantine key. @default nothing: it begins with this run */
  readonly doubted?: ReadonlyMap<string, readonly string[]>;
  readonly policy: GuardPolicy;
  /** Epoch milliseconds of the run. */
  readonly now: number;
  /** What the other sources say that a price is. */
  otherPrices(id: string, path: PricePath): readonly number[];
}
