import type { KeySpace } from "@larder/cache-core";
import type { EntryReader } from "./entry-reader.ts";
import type { KeySurvey } from "./key-survey.ts";
import { type Lane, toText } from "./lane.ts";
import type { Lanes } from "./lanes.ts";
import { heads } from "./scripts.ts";

/** Keys remembered while counting, so that one that SCAN gives twice is counted once. */
const MAX_COUNTED_APART = 100_000;
/** How long one page may take, in milliseconds. */
const PAGE_TIMEOUT_MS = 1_000;

/** What a census works with. */
export interface EntryCensusOptions<V> {
  readonly survey: KeySurvey;
  readonly keySpace: KeySpace;
  readonly lanes: Lanes;
  readonly reader: EntryReader<V>;
}

/** Counts and names the entries of a cache, which costs a SCAN of the whole database. */
export class EntryCensus<V> {
  readonly #options: EntryCensusOptions<V>;

  constructor(options: EntryCensusOptions<V>) {
    this.#options = options;
  }

  /** Live entries. @throws {CallFailure} */
  async count(): Promise<number> {
    let count = 0;
    const counted = new Set<string>();
    for await (const { lane, redisKeys } of this.#options.survey.pages()) {
      const fresh = redisKeys.filter((redisKey) => !counted.has(redisKey));
      for (const redisKey of fresh) if (counted.size < MAX_COUNTED_APART) counted.add(redisKey);
      count += await this.#countLive(lane, fresh);
    }
    return count;
  }

  /** Keys of entries, live or not, page by page. @throws {CallFailure} */
  async *keys(): AsyncGenerator<readonly string[]> {
    const { survey, lanes } = this.#options;
    for await (const { lane, redisKeys } of survey.pages()) yield redisKeys.map((redisKey) => lanes.keyOf(lane, redisKey));
  }

  async #countLive(lane: Lane, redisKeys: readonly string[]): Promise<number> {
    const { keySpace, lanes, reader } = this.#options;
    const { known } = lane.versions;
    const reply = (await lane.run(heads, [keySpace.record(lane.index), ...redisKeys], [], PAGE_TIMEOUT_MS)) as unknown[];
    const by = lane.versions.fromReply(reply.slice(0, 5).map(toText), known);
    if (!by) return 0;
    const live = await Promise.all(
      redisKeys.map((redisKey, index) => {
        const head = reply[index + 6];
        return Buffer.isBuffer(head) && reader.isLive(lane, lanes.keyOf(lane, redisKey), head, by, PAGE_TIMEOUT_MS);
      }),
    );
    return live.filter(Boolean).length;
  }
}
