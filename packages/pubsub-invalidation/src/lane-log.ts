import type { InvalidationTarget, PatternRecord } from "@larder/cache-core";

/** Patterns kept apart, as in the Lua that keeps the record in Redis. */
const MAX_PATTERNS = 32;

/**
 * What Redis keeps of a lane, in memory: the version record and the log, and the three scripts on them with the same arguments and
 * answers. The primary process of a machine keeps these for its workers.
 */
export class LaneLog {
  readonly #epoch: string;
  #seq = 0;
  #clearedAt = 0;
  #taggedAt = 0;
  #patterns: PatternRecord[] = [];
  /** Bodies by seq: from `#first` to `#seq` without a gap. */
  readonly #entries: Map<number, string> = new Map();
  #first = 1;

  /** @param epoch 128 random bits */
  constructor(epoch: string) {
    this.#epoch = epoch;
  }

  /** The answer of the check script, its clock apart. */
  state(): [epoch: string, seq: number, clearedAt: number, taggedAt: number, patterns: string] {
    const patterns = JSON.stringify(this.#patterns.map(({ seq, pattern }) => [seq, pattern]));
    return [this.#epoch, this.#seq, this.#clearedAt, this.#taggedAt, patterns];
  }

  /** Takes an invalidation in. @returns its place */
  append(body: string, kind: string, subject: string, limit: number): readonly [epoch: string, seq: number] {
    this.#seq += 1;
    this.#entries.set(this.#seq, body);
    for (; this.#entries.size > limit; this.#first += 1) this.#entries.delete(this.#first);
    this.#mark(kind as InvalidationTarget["kind"], subject);
    return [this.#epoch, this.#seq];
  }

  /** The answer of the replay script. */
  page(from: number, count: number): [epoch: string, seq: number, entries: Array<[id: string, fields: ["b", body: string]]>] {
    const entries: Array<[string, ["b", string]]> = [];
    for (let seq = Math.max(from, this.#first); seq <= this.#seq && entries.length < count; seq += 1) {
      entries.push([`${seq}-0`, ["b", this.#entries.get(seq) as string]]);
    }
    return [this.#epoch, this.#seq, entries];
  }

  #mark(kind: InvalidationTarget["kind"], subject: string): void {
    if (kind === "all") {
      this.#clearedAt = this.#seq;
      this.#patterns = [];
    } else if (kind === "tag") {
      this.#taggedAt = this.#seq;
    } else if (kind === "pattern") {
      this.#patterns = this.#patterns.filter(({ pattern }) => pattern !== subject);
      if (this.#patterns.length >= MAX_PATTERNS) {
        const given = this.#patterns.splice(0, MAX_PATTERNS / 2);
        this.#clearedAt = Math.max(this.#clearedAt, given.at(-1)?.seq ?? 0);
      }
      this.#patterns.push({ seq: this.#seq, pattern: subject });
    }
  }
}
