import { matchesGlob } from "./glob.ts";
import type { InvalidationTarget, Version } from "./invalidation.ts";
import { LatestPlaces } from "./latest-places.ts";
import { markOf } from "./mark-of.ts";

/** Tags told apart at least, and twice as many at most; of older ones the knowledge is given up, and entries that need it are read anew. */
const LATEST_TAGS = 5_000;
/** The same for keys; older ones are left to their server, which has deleted them. */
const LATEST_KEYS = 1_000;
/** Patterns told apart at most, as in the script that keeps the record; beyond, the older half becomes an invalidation of all. */
const MAX_PATTERNS = 32;

/** An invalidation by pattern, and its place in the lane's order. */
export interface PatternRecord {
  /** Entries stamped with an older `seq` that match are gone. */
  readonly seq: number;
  /** A glob over keys, as given to `invalidateMatching`. */
  readonly pattern: string;
}

/** A lane's version record as Redis keeps it. */
export interface VersionState extends Version {
  /** The `seq` of the last invalidation of all; 0 = none in this epoch. */
  readonly clearedAt: number;
  /** The `seq` of the last invalidation of any tag; 0 = none in this epoch. */
  readonly taggedAt: number;
  /** Invalidations by pattern since the last one of all, ascending. */
  readonly patterns: readonly PatternRecord[];
}

/** A place as it stands in the record; 0 for none, `NaN` for what is no number. */
function toPlace(text: string): number {
  return /^\d{0,15}$/.test(text) ? Number(text) : Number.NaN;
}

function toPatterns(json: string): PatternRecord[] {
  return (JSON.parse(json) as Array<[number, string]>).map(([at, pattern]) => ({ seq: Number(at), pattern: String(pattern) }));
}

/**
 * Reads what the check script answers: epoch, seq, clearedAt, taggedAt, patterns as JSON. Missing fields read as none. A record of which anything cannot
 * be read is one that is lost, of the epoch "": no entry is of it, and the next check makes it anew.
 */
export function toVersionState(reply: readonly unknown[]): VersionState {
  const text = (index: number): string => String(reply[index] ?? "");
  const [seq, clearedAt, taggedAt, held] = [toPlace(text(1)), toPlace(text(2)), toPlace(text(3)), text(4)];
  try {
    const patterns = held === "" ? [] : toPatterns(held);
    if (!Number.isNaN(seq + clearedAt + taggedAt + patterns.reduce((sum, { seq: at }) => sum + at, 0)))
      return { epoch: text(0), seq, clearedAt, taggedAt, patterns };
  } catch {
    // Below, with what else cannot be read.
  }
  return { epoch: "", seq: 0, clearedAt: 0, taggedAt: 0, patterns: [] };
}

/** Whether an entry stored at a version is still valid; `"unknown"`: a tag's own record must be read. */
export type Judgement = "valid" | "invalid" | "unknown";

/**
 * What one process knows of a lane's version: by it entries are judged valid without asking anyone. An entry carries the version
 * captured before its load. It is valid when its epoch is the current one and nothing that covers it was invalidated after its `seq`:
 * not all, no pattern that matches its key, none of its tags, nor the key itself.
 *
 * An invalidation of a key deletes its entry or refuses its fill, so that on one server its place would not be needed. But a reader may still be
 * connected to a master that was demoted, and has kept what was deleted at the new one (found by the simulator:
 * `second-tier-at-a-demoted-shard.json`). The places of the last keys cover that, for as long as nobody has put a new epoch in place there.
 */
export class VersionRecord {
  #epoch: string;
  #seq: number;
  #clearedAt: number;
  #taggedAt: number;
  #patterns: PatternRecord[];
  /** Tags whose last invalidation is known. Others: unknown, unless the entry is younger than every tag's. */
  readonly #tags: LatestPlaces = new LatestPlaces(LATEST_TAGS);
  /** The last keys that were invalidated. */
  readonly #keys: LatestPlaces = new LatestPlaces(LATEST_KEYS);

  constructor(state: VersionState) {
    this.#epoch = state.epoch;
    this.#seq = state.seq;
    this.#clearedAt = state.clearedAt;
    this.#taggedAt = state.taggedAt;
    this.#patterns = [...state.patterns];
  }

  get epoch(): string {
    return this.#epoch;
  }

  /** The last invalidation known. */
  get seq(): number {
    return this.#seq;
  }

  /** Takes in an invalidation of this epoch. Repeated and older ones change nothing. */
  apply(seq: number, target: InvalidationTarget): void {
    this.#seq = Math.max(this.#seq, seq);
    if (target.kind === "all") {
      this.#clearedAt = Math.max(this.#clearedAt, seq);
      this.#patterns = this.#patterns.filter((record) => record.seq > seq);
    } else if (target.kind === "pattern") {
      const [kind, pattern] = markOf(target);
      if (kind === "all") this.apply(seq, { kind });
      else this.#addPattern(seq, pattern);
    } else if (target.kind === "tag") {
      this.#taggedAt = Math.max(this.#taggedAt, seq);
      this.learnTag(target.tag, seq);
    } else this.#keys.note(target.key, seq);
  }

  #addPattern(seq: number, pattern: string): void {
    // Not by its place alone: whoever may publish can have put another one there before.
    if (this.#patterns.some((record) => record.seq >= seq && record.pattern === pattern)) return;
    this.#patterns = this.#patterns.filter((record) => record.pattern !== pattern);
    this.#patterns.push({ seq, pattern });
    if (this.#patterns.length <= MAX_PATTERNS) return;
    // Dropping more than asked costs misses only; forgetting a pattern would serve what it dropped.
    const given = this.#patterns.splice(0, MAX_PATTERNS / 2);
    this.#clearedAt = Math.max(this.#clearedAt, ...given.map((record) => record.seq));
  }

  /** Takes in what was read of one tag: the `seq` of its last invalidation, 0 for none. */
  learnTag(tag: string, seq: number): void {
    this.#tags.note(tag, seq);
  }

  /** The tags of an entry whose own records must be read before it can be judged. */
  unknownTags(tags: readonly string[]): string[] {
    return tags.filter((tag) => this.#tags.get(tag) === undefined);
  }

  /** Judges an entry by the version it was stored with. O(1) for entries younger than the last tag and pattern invalidation. */
  judge(version: Version, key: string, tags: readonly string[]): Judgement {
    if (version.epoch !== this.#epoch || version.seq < this.#clearedAt || version.seq < (this.#keys.get(key) ?? 0)) return "invalid";
    for (const record of this.#patterns) {
      if (version.seq < record.seq && matchesGlob(record.pattern, key)) return "invalid";
    }
    if (version.seq >= this.#taggedAt) return "valid";
    let isKnown = true;
    for (const tag of tags) {
      const invalidatedAt = this.#tags.get(tag);
      if (invalidatedAt === undefined) isKnown = false;
      else if (version.seq < invalidatedAt) return "invalid";
    }
    return isKnown ? "valid" : "unknown";
  }
}
