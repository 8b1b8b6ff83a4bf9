import { isCalmPlan, SETTLED_AT } from "./calm-plan.ts";
import type { VersionedValue } from "./coherence-oracle.ts";
import type { SchedulePlan } from "./schedule-plan.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

/** A `delete` or `clear` under way. */
export interface DropCall {
  readonly process: SimulatedProcess;
  readonly keys: readonly string[];
  readonly begunAt: number;
}

/**
 * Judges that what a process has deleted or cleared is gone there: a read that begins after that gives nothing that was made before it. In good weather
 * alone, for a second tier that could not be reached keeps what it has. Nobody else is told, and nobody else is judged.
 */
export class DropJudge {
  readonly #isCalm: boolean;
  /** By life of a process, and key: before which instant nothing may have been made. */
  readonly #droppedAt: Map<SimulatedProcess, Map<string, number>> = new Map();

  constructor(plan: SchedulePlan) {
    this.#isCalm = isCalmPlan(plan);
  }

  /** Keys are dropped. @param keys those that nobody sets meanwhile: a value may have been made before, and come behind */
  begin(process: SimulatedProcess, keys: readonly string[], now: number): DropCall {
    return { process, keys, begunAt: now };
  }

  /** They are: the call has been answered. */
  end({ process, keys, begunAt }: DropCall): void {
    if (!this.#isCalm || !process.isWatched || begunAt < SETTLED_AT) return;
    let droppedAt = this.#droppedAt.get(process);
    if (!droppedAt) {
      droppedAt = new Map();
      this.#droppedAt.set(process, droppedAt);
    }
    for (const key of keys) droppedAt.set(key, Math.max(begunAt, droppedAt.get(key) ?? 0));
  }

  /** Before which instant nothing may have been made that a read gives which begins now. */
  floorOf(process: SimulatedProcess, key: string): number {
    return this.#droppedAt.get(process)?.get(key) ?? -Infinity;
  }

  /** @returns what is wrong with a value; `undefined` = nothing */
  judge(process: SimulatedProcess, floor: number, value: unknown): string | undefined {
    const { key, at } = (value ?? {}) as Partial<VersionedValue>;
    if (at === undefined || at >= floor) return undefined;
    return `dropped process ${process.index}: ${key} of ${at.toFixed(3)} came after it was dropped at ${floor.toFixed(3)}`;
  }
}
