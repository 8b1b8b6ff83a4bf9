/** What is known of one source beyond its layer. */
export interface SourcePulse {
  readonly source: string;
  /** Epoch milliseconds at which the list behind its layer was asked for: an older list never replaces it. */
  readonly fetchedAt: number;
  /** Epoch milliseconds at which a list of it was last judged, accepted or refused: ages are counted from there. @default not known */
  readonly judgedAt?: number;
  /** Runs in a row in which it failed or was refused. */
  readonly failures: number;
  /** Runs in a row that missed a model. */
  readonly missedRuns: ReadonlyArray<readonly [id: string, runs: number]>;
  /** What the lists under doubt missed or added at every offer since its time began, by quarantine key: ids. @default none */
  readonly doubted?: ReadonlyArray<readonly [key: string, ids: readonly string[]]>;
  /** Epoch milliseconds of the first run that was not configured with the source; absent while runs are. */
  readonly absentAt?: number;
  /** Epoch milliseconds of the last such run. */
  readonly absentSeenAt?: number;
}

/**
 * What changes with every run although the catalog does not: kept beside the versions, so that counting does not make new ones, and
 * committed in the same transaction, so that the count and the catalog never disagree.
 */
export interface Pulse {
  /** Grows by one with every commit. */
  readonly revision: number;
  readonly sources: readonly SourcePulse[];
  /** Epoch milliseconds of the last run in which every primary source was accepted; absent = never. */
  readonly completedAt?: number;
  /** Epoch milliseconds of the last run that confirmed or changed the catalog. */
  readonly checkedAt?: number;
}

/** The pulse before the first run. */
export const emptyPulse: Pulse = { revision: 0, sources: [] };

/** What is known of one source. */
export function pulseOf(pulse: Pulse, source: string): SourcePulse {
  return pulse.sources.find((known) => known.source === source) ?? { source, fetchedAt: 0, failures: 0, missedRuns: [] };
}
