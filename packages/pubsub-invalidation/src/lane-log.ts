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
  /** Bodies by seq, oldest first. */
  readonly #entries: Map<number, string> = new Map();

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
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= limit) break;
      this.#entries.delete(oldest);
    }
    this.#mark(kind as InvalidationTarget["kind"], subject);
    return [this.#epoch, this.#seq];
  }

  /** The answer of the replay script. */
  page(from: number, count: number): [epoch: string, seq: number, entries: Array<[id: string, fields: ["b", body: string]]>] {
    const entries: Array<[string, ["b", string]]> = [];
    const oldest = this.#entries.keys().next();
    for (let seq = Math.max(from, oldest.done ? from : oldest.value); seq <= this.#seq && entries.length < count; seq += 1) {
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
      if (this.#patterns.length >= MAX_PATTERNS) {
        const given = this.#patterns.splice(0, MAX_PATTERNS / 2);
        this.#clearedAt = Math.max(this.#clearedAt, given.at(-1)?.seq ?? 0);
      }
      this.#patterns.push({ seq: this.#seq, pattern: subject });
    }
  }
}
