import { escapeGlob, type KeySpace } from "@larder/cache-core";
import type { CallDesk } from "./call-desk.ts";
import type { CallFailure } from "./call-failure.ts";
import type { Lane } from "./lane.ts";
import type { RedisPort } from "./redis-port.ts";

/** Keys that one SCAN looks at: 100 to 500 leave other clients' p99 alone, 1000 raises it from 0.2 to 1.3 ms (measured). */
const PAGE = 250;
/** How long one page may take: who counts knows that it is slow. */
const PAGE_TIMEOUT_MS = 1_000;

/** Makes a call when its time has come. */
export type Pacing = <T>(call: () => Promise<T>) => Promise<T>;

const atOnce: Pacing = (call) => call();

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
  readonly keySpace: KeySpace;
  readonly lanes: readonly Lane[];
}

/**
 * Walks the key space of Redis for this cache's entries: the only place with SCAN. It sees every key of the database, on every master,
 * so its cost is theirs, not this cache's.
 */
export class KeySurvey {
  readonly #options: KeySurveyOptions;
  readonly #start: string;
  readonly #match: string;

  constructor(options: KeySurveyOptions) {
    this.#options = options;
    const { keyPrefix, namespace } = options.keySpace;
    this.#start = `${keyPrefix}:{${namespace}.`;
    this.#match = `${escapeGlob(this.#start)}*}:v:*`;
  }

  /**
   * All entries, page by page. Keys that come or go meanwhile may be missing or come twice.
   * @param count keys that one SCAN looks at
   * @param paced makes each SCAN
   * @throws {CallFailure}
   */
  async *pages(count: number = PAGE, paced: Pacing = atOnce): AsyncGenerator<SurveyPage> {
    const { port, lanes } = this.#options;
    for (let node = 0; node < port.nodeCount; node += 1) {
      let cursor = "0";
      do {
        const [next, redisKeys] = await paced(() => this.#scan(node, cursor, count));
        cursor = next;
        const byLane = new Map<number, string[]>();
        for (const redisKey of redisKeys) {
          const lane = this.#laneOf(redisKey);
          if (lane !== undefined) byLane.set(lane, [...(byLane.get(lane) ?? []), redisKey]);
        }
        for (const [lane, keys] of byLane) yield { lane: lanes[lane] as Lane, redisKeys: keys };
      } while (cursor !== "0");
    }
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

  #scan(node: number, cursor: string, count: number): Promise<readonly [string, readonly string[]]> {
    const { port, desk } = this.#options;
    return new Promise((resolve, reject) => {
      const isPossible = port.isReady && desk.hasRoom(0);
      if (!isPossible) reject({ kind: "down", word: "" } satisfies CallFailure);
      else
        desk.watch(port.scan(node, cursor, this.#match, count), 0, PAGE_TIMEOUT_MS, (failure, reply) =>
          reply ? resolve(reply) : reject(failure),
        );
    });
  }
}
