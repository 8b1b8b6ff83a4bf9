import type { AbortSignalLike } from "@larder/cache-core";
import type { SimulatedProcess } from "./simulated-process.ts";

/** A loader that has been called. */
export interface CalledLoader {
  readonly process: SimulatedProcess;
  readonly key: string;
  /** When the read began for which it was called, in virtual milliseconds. */
  readonly askedAt: number;
  /** Tells that nobody waits for it any more: it may run on, and does not count. */
  readonly cancellation: AbortSignalLike;
}

/** What one life of a process was made to drop, and the last loader of each key. */
interface Life {
  allDroppedAt: number;
  readonly droppedAt: Map<string, number>;
  readonly running: Map<string, CalledLoader>;
}

/**
 * Judges that a process calls one loader of a key at a time (I5). Two may run at once only
 * - when something that drops the key came after either's read had begun: its own invalidation, what its bus told, a load that was forced;
 * - when the older one began so long ago that, to a process cut off since, its data may be too old to be shared;
 * - when nobody waits for the older one any more.
 * Processes that do not have their bus watched are not judged: it cannot be known what they were told.
 */
export class LoadJudge {
  readonly #maxStalenessMs: number;
  readonly #lives: Map<SimulatedProcess, Life> = new Map();

  constructor(maxStalenessMs: number) {
    this.#maxStalenessMs = maxStalenessMs;
  }

  /** A process drops a key, or several. */
  onDrop(process: SimulatedProcess, key: string | undefined, now: number): void {
    const life = this.#lifeOf(process);
    if (key === undefined) life.allDroppedAt = now;
    else life.droppedAt.set(key, now);
  }

  /** A loader is called. @returns what is wrong with that; `undefined` = nothing */
  begin(called: CalledLoader, now: number): string | undefined {
    const { process, key } = called;
    const life = this.#lifeOf(process);
    const running = life.running.get(key);
    life.running.set(key, called);
    if (!process.isWatched || running === undefined || running.cancellation.aborted) return undefined;
    const droppedAt = Math.max(life.allDroppedAt, life.droppedAt.get(key) ?? -Infinity);
    const isShareable = now - running.askedAt <= this.#maxStalenessMs;
    if (!isShareable || droppedAt >= Math.min(running.askedAt, called.askedAt)) return undefined;
    const asked = `one asked for at ${running.askedAt.toFixed(3)}, the next at ${called.askedAt.toFixed(3)}`;
    return `I5 process ${process.index}: two loads of ${key} at ${now.toFixed(3)}, ${asked}`;
  }

  /** A loader has answered, or failed. */
  end(called: CalledLoader): void {
    const { running } = this.#lifeOf(called.process);
    if (running.get(called.key) === called) running.delete(called.key);
  }

  #lifeOf(process: SimulatedProcess): Life {
    let life = this.#lives.get(process);
    if (!life) {
      life = { allDroppedAt: -Infinity, droppedAt: new Map(), running: new Map() };
      this.#lives.set(process, life);
    }
    return life;
  }
}
