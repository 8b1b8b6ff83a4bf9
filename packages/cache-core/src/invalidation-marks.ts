import { matchesGlob } from "./glob.ts";
import { MAX_PATTERN_LENGTH } from "./mark-of.ts";

/** Tags told apart at most; beyond, one mark stands for all of the older ones. */
const MAX_TAGS = 10_000;
/** Patterns told apart at most; beyond, everything is dropped. */
const MAX_PATTERNS = 32;

/**
 * What this process knows of invalidations by tag, by pattern and of all: O(1) to note, judged when an entry is read.
 *
 * Each of them moves one process-wide epoch on. An entry carries the epoch captured before its load; the same epoch now means that
 * nothing of the kind happened since, which is the whole check on the hot path. Otherwise the entry's own tags and key decide, and an
 * entry that passes may be stamped with the current epoch.
 */
export class InvalidationMarks {
  /** The epoch to capture. */
  epoch = 0;
  /** Entries captured before this epoch are dropped whatever their tags. */
  #allAt = 0;
  readonly #tags: Map<string, number> = new Map();
  #patterns: Array<{ readonly pattern: string; readonly at: number }> = [];

  /** Drops everything captured so far. */
  markAll(): void {
    this.epoch += 1;
    this.#allAt = this.epoch;
    this.#tags.clear();
    this.#patterns.length = 0;
  }

  /** Drops entries with the tag that were captured so far. */
  markTag(tag: string): void {
    if (this.#tags.size >= MAX_TAGS && !this.#tags.has(tag)) {
      this.markAll();
      return;
    }
    this.epoch += 1;
    this.#tags.set(tag, this.epoch);
  }

  /** Drops entries whose keys match and that were captured so far. */
  markPattern(pattern: string): void {
    // What it dropped before it drops again: one that comes every minute must not fill the list, and with it drop everything.
    this.#patterns = this.#patterns.filter((mark) => mark.pattern !== pattern);
    if (this.#patterns.length >= MAX_PATTERNS || pattern.length > MAX_PATTERN_LENGTH) {
      this.markAll();
      return;
    }
    this.epoch += 1;
    this.#patterns.push({ pattern, at: this.epoch });
  }

  /** Whether an entry captured at an epoch is still valid. */
  isValid(epoch: number, key: string, tags: readonly string[]): boolean {
    if (epoch < this.#allAt) return false;
    for (const tag of tags) {
      if (epoch < (this.#tags.get(tag) ?? 0)) return false;
    }
    return !this.#patterns.some((mark) => epoch < mark.at && matchesGlob(mark.pattern, key));
  }
}
