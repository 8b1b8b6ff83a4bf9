import { type CancelTimer, type Clock, escapeGlob, type KeySpace } from "@larder/cache-core";
import type { CallDesk } from "./call-desk.ts";
import type { CallFailure } from "./call-failure.ts";
import type { Lane } from "./lane.ts";
import type { RedisPort } from "./redis-port.ts";
import { sweep } from "./scripts.ts";

/** Keys that one SCAN looks at: 100 to 500 leave other clients' p99 alone, 1000 raises it from 0.2 to 1.3 ms (measured). */
const PAGE = 250;
/** Between two pages of a sweep, in milliseconds. */
const SWEEP_PAUSE_MS = 5;
/** How long one page may take. Nobody waits for a sweep; who counts knows that it is slow. */
const PAGE_TIMEOUT_MS = 1_000;

/** Entries of one lane on one page. */
export interface SurveyPage {
  readonly lane: Lane;
  /** Redis keys of entries. */
  readonly redisKeys: readonly string[];
}

/** What a survey works with. */
export interface KeySurveyOptions {
  readonly port: RedisPort;
  readonly desk: CallDesk;
  readonly clock: Clock;
  readonly keySpace: KeySpace;
  readonly lanes: readonly Lane[];
  readonly onSwept: (count: number) => void;
}

/**
 * Walks the key space of Redis for this cache's entries: the only place with SCAN. It sees every key of the database, on every master,
 * so its cost is theirs, not this cache's. `clear()` does not wait for it: a sweep only frees what is void already.
 */
export class KeySurvey {
  readonly #options: KeySurveyOptions;
  readonly #start: string;
  readonly #match: string;
  #isSweeping = false;
  #isDue = false;
  #isClosed = false;
  #cancelPause: CancelTimer | undefined;

  constructor(options: KeySurveyOptions) {
    this.#options = options;
    const { keyPrefix, namespace, lanes } = options.keySpace;
    this.#start = `${keyPrefix}:{${namespace}.`;
    this.#match = lanes === 1 ? `${escapeGlob(`${options.keySpace.base(0)}v:`)}*` : `${escapeGlob(this.#start)}*}:v:*`;
  }

  /**
   * All entries, page by page. Keys that come or go meanwhile may be missing or come twice.
   * @param rest called after each SCAN, whatever it found
   * @throws {CallFailure}
   */
  async *pages(rest: () => Promise<void> = async () => {}): AsyncGenerator<SurveyPage> {
    const { port, lanes } = this.#options;
    for (let node = 0; node < port.nodeCount; node += 1) {
      let cursor = "0";
      do {
        const [next, redisKeys] = await this.#scan(node, cursor);
        cursor = next;
        const byLane = new Map<number, string[]>();
        for (const redisKey of redisKeys) {
          const lane = this.#laneOf(redisKey);
          if (lane !== undefined) byLane.set(lane, [...(byLane.get(lane) ?? []), redisKey]);
        }
        for (const [lane, keys] of byLane) yield { lane: lanes[lane] as Lane, redisKeys: keys };
        await rest();
      } while (cursor !== "0");
    }
  }

  /** Begins to free void entries in the background, or begins again when one pass is under way. */
  sweepSoon(): void {
    this.#isDue = true;
    if (!this.#isSweeping && !this.#isClosed) void this.#sweep();
  }

  /** Ends the sweep. */
  close(): void {
    this.#isClosed = true;
    this.#isDue = false;
    this.#cancelPause?.();
  }

  /** The lane of a key, if it is an entry of this cache: a glob also matches namespaces that begin like ours. */
  #laneOf(redisKey: string): number | undefined {
    if (!redisKey.startsWith(this.#start)) return undefined;
    const lane = Number(redisKey.slice(this.#start.length, redisKey.indexOf("}", this.#start.length)));
    const { keySpace } = this.#options;
    return Number.isInteger(lane) && lane >= 0 && lane < keySpace.lanes && redisKey.startsWith(`${keySpace.base(lane)}v:`)
      ? lane
      : undefined;
  }

  #scan(node: number, cursor: string): Promise<readonly [string, readonly string[]]> {
    const { port, desk } = this.#options;
    return new Promise((resolve, reject) => {
      const isPossible = port.isReady && desk.hasRoom(0);
      if (!isPossible) reject({ kind: "down", word: "" } satisfies CallFailure);
      else
        desk.watch(port.scan(node, cursor, this.#match, PAGE), 0, PAGE_TIMEOUT_MS, (failure, reply) =>
          reply ? resolve(reply) : reject(failure),
        );
    });
  }

  async #sweep(): Promise<void> {
    this.#isSweeping = true;
    const { keySpace, onSwept } = this.#options;
    try {
      while (this.#isDue) {
        this.#isDue = false;
        for await (const { lane, redisKeys } of this.pages(() => this.#pause())) {
          if (this.#isClosed) return;
          onSwept(Number(await lane.run(sweep, [keySpace.record(lane.index), ...redisKeys], [], PAGE_TIMEOUT_MS)));
        }
      }
    } catch {
      // Redis is away: what was not freed runs out, or is freed by the next sweep.
    } finally {
      this.#isSweeping = false;
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.setTimer(resolve, SWEEP_PAUSE_MS);
      this.#cancelPause = () => {
        cancel();
        resolve();
      };
    });
  }
}
