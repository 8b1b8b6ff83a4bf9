import type { MaybePromise } from "@larder/cache-core";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** What an application has a cache do beside reading. */
export type WriteName = "a set" | "a delete" | "a clear" | "an invalidation";

interface OpenWrite {
  readonly process: SimulatedProcess;
  readonly what: WriteName;
  readonly begunAt: number;
}

/** What the writes of a schedule are judged by. */
export interface WriteJudgeContext {
  readonly time: VirtualTime;
  /** Milliseconds that a call within the cache's budget for its backend may take at most. */
  readonly limitMs: number;
  readonly violations: string[];
}

/** Milliseconds that a `delete` may take at most, which waits for the second tier as long as a write of that does: 250, with the room of the others. */
const DELETE_LIMIT_MS = 260;

/**
 * Judges that whoever writes is answered, in time and without an error, however its servers are (I7): one that is not keeps what it has locked
 * meanwhile. A process whose event loop has stood still is late with everything.
 */
export class WriteJudge {
  readonly #context: WriteJudgeContext;
  readonly #open: Set<OpenWrite> = new Set();

  constructor(context: WriteJudgeContext) {
    this.#context = context;
  }

  /** Has a process write, and judges how that ends. @returns what it answers */
  follow<T>(process: SimulatedProcess, what: WriteName, write: () => MaybePromise<T>): Promise<T> {
    const call: OpenWrite = { process, what, begunAt: this.#context.time.now };
    this.#open.add(call);
    const answer = (async () => write())();
    answer.then(
      () => this.#end(call),
      (error: unknown) => {
        this.#end(call);
        if (process.isServing) this.#context.violations.push(`I7 process ${process.index}: ${what} failed with ${String(error)}`);
      },
    );
    return answer;
  }

  /** All is over: what has not been answered by now is judged as it stands. */
  finish(): void {
    for (const call of this.#open) this.#judge(call);
  }

  #end(call: OpenWrite): void {
    this.#open.delete(call);
    this.#judge(call);
  }

  #judge({ process, what, begunAt }: OpenWrite): void {
    const { time, limitMs, violations } = this.#context;
    const tookMs = time.now - begunAt;
    // A design that does not say what it is told knows no deadlines either.
    const isJudged = process.isServing && process.isWatched && !process.wasPaused;
    if (!isJudged || tookMs <= (what === "a delete" ? Math.max(DELETE_LIMIT_MS, limitMs) : limitMs)) return;
    violations.push(`I7 process ${process.index}: ${what} from ${begunAt.toFixed(3)} took ${tookMs.toFixed(1)} ms`);
  }
}
