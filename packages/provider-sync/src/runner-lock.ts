/** Elects one runner among the processes of a fleet. It spares the upstreams; correctness never rests on it. */
export interface RunnerLock {
  /**
   * Runs `work` while holding the name, or answers `"held"` at once when another process holds it. `signal` is aborted when the lock was
   * lost meanwhile. A holder that dies frees the name by itself, at once or after a time to live; one that lives and does
   * nothing, suspended or frozen, loses it after that time.
   */
  withLock<T>(name: string, work: (signal: AbortSignal) => Promise<T>): Promise<T | "held">;
}
