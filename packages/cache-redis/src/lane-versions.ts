import {
  EpochTrail,
  type InvalidationChannel,
  type InvalidationTarget,
  type Judgement,
  toVersionState,
  type Version,
  VersionRecord,
} from "@larder/cache-core";

/** By what an entry is judged. */
export interface Judge {
  readonly record: VersionRecord;
  /** Invalidations by this process that the record may not know yet; `undefined` when it was read after them. */
  readonly own: VersionRecord | undefined;
}

/** Judges an entry. */
export function judge({ record, own }: Judge, version: Version, key: string, tags: readonly string[]): Judgement {
  const judgement = record.judge(version, key, tags);
  if (judgement === "invalid" || own === undefined || own.epoch !== version.epoch) return judgement;
  // Also when the record has come as far: places that were heard may be forged (essay of the bus's `lane.ts`), those of `own` are the server's
  // answers. What `own` does not know of a tag, this process has not invalidated.
  return own.judge(version, key, tags) === "invalid" ? "invalid" : judgement;
}

/** A record without a mark. */
const unmarked = ({ epoch, seq }: Version): VersionRecord => new VersionRecord({ epoch, seq, clearedAt: 0, taggedAt: 0, patterns: [] });

/**
 * What is known of one lane's version.
 *
 * There are two sources. The bus's channel knows it without asking while its proof is fresh, and otherwise the record is read in front of
 * each batch. The channel may lag in two ways that a reader of this process must not see. It has not heard an invalidation that this
 * process has just been acknowledged: so those are kept here as well (`own`). Or the lane has a new epoch: so a channel that speaks of
 * another epoch than the last one seen here is not asked, until the two agree. That also covers a bus that sits on another Redis.
 * A key that was invalidated is kept as well, though its entry is deleted: a master that is demoted under an open connection may have it again.
 *
 * A record may also come back or go backwards (`EpochTrail`): then nothing is judged by it, until a check has put a new epoch in its place.
 */
export class LaneVersions {
  readonly #lane: number;
  #channel: InvalidationChannel | undefined;
  #maxStalenessMs = 0;
  /** What the server has told, and acknowledged, to this process. */
  readonly #trail: EpochTrail = new EpochTrail();
  #own: VersionRecord | undefined;
  #read: VersionRecord | undefined;
  #isSuspect = false;
  /** Of what epoch the channel last told; empty before. */
  #heardEpoch = "";
  /** What was given out last: every read asks, and the answer seldom changes. */
  #judge: Judge | undefined;

  constructor(lane: number) {
    this.#lane = lane;
  }

  /** The epoch as the server last told; empty before. */
  get epoch(): string {
    return this.#trail.last.epoch;
  }

  /** What the server has told so far: to be kept when it is asked, and given back with its answer. */
  get known(): Version {
    return this.#trail.last;
  }

  /** Whether there is a channel. */
  get hasChannel(): boolean {
    return this.#channel !== undefined;
  }

  /** Whether the server last told of a version that went backwards. */
  get isSuspect(): boolean {
    return this.#isSuspect;
  }

  /**
   * Whether the channel speaks of the server's record, by what both told last. A channel tells of none while something is missing or it begins anew: a
   * bus on another server would not be told meanwhile what goes through this one.
   */
  get isOnChannel(): boolean {
    if (this.#channel === undefined) return true;
    const { laneCount = Infinity } = this.#channel;
    const epoch = this.#channel.epochOf?.(this.#lane) ?? this.#channel.version(this.#lane)?.epoch;
    if (epoch) this.#heardEpoch = epoch;
    return this.#lane < laneCount && (this.#heardEpoch === "" || this.epoch === "" || this.#heardEpoch === this.epoch);
  }

  /** Whether the channel hears what the server publishes; `undefined` before it has told of an epoch: nobody knows where it is. */
  get isHeard(): boolean | undefined {
    return this.isOnChannel && (this.#heardEpoch !== "" || undefined);
  }

  /** Whether there is a channel whose proof is too old. */
  isBlind(now: number): boolean {
    return this.#channel !== undefined && now > this.#channel.lastProofAt + this.#maxStalenessMs;
  }

  attach(channel: InvalidationChannel, maxStalenessMs: number): void {
    this.#channel = channel;
    this.#maxStalenessMs = maxStalenessMs;
  }

  /** What the channel knows, if it may be used now. */
  fromChannel(now: number): Judge | undefined {
    const channel = this.#channel;
    if (channel === undefined || now > channel.lastProofAt + this.#maxStalenessMs) return undefined;
    const record = channel.version(this.#lane);
    if (record === undefined || record.epoch !== this.epoch) return undefined;
    if (this.#judge?.record !== record || this.#judge.own !== this.#own) this.#judge = { record, own: this.#own };
    return this.#judge;
  }

  /** Takes in the record as it was read: epoch, seq, clearedAt, taggedAt, patterns. `undefined` when it is lost or went backwards: then nothing is valid. */
  fromReply(reply: readonly unknown[], known: Version): Judge | undefined {
    const state = toVersionState(reply);
    if (state.epoch === "" || this.see(state, known) || this.#channel?.hasLeft?.(this.#lane, state.epoch)) return undefined;
    // The same seq means that nothing was invalidated in between: what is known of tags still holds.
    if (this.#read?.epoch !== state.epoch || this.#read.seq !== state.seq) this.#read = new VersionRecord(state);
    return { record: this.#read, own: undefined };
  }

  /** Takes in a version that the server told. @param known of when it was asked @returns whether it went backwards: acknowledged invalidations are lost */
  see(version: Version, known: Version): boolean {
    const { epoch } = this;
    this.#isSuspect = this.#trail.see(version, known);
    if (this.epoch !== epoch) this.#own = undefined;
    return this.#isSuspect;
  }

  /** Takes in an invalidation by this process that the server has acknowledged. */
  acknowledge(version: Version, target: InvalidationTarget, known: Version): void {
    this.see(version, known);
    // Without a channel the record is read anew for every batch, and of keys nothing else would be judged by.
    if (version.epoch !== this.epoch || (target.kind === "key" && !this.hasChannel)) return;
    this.#own ??= unmarked(version);
    this.#own.apply(version.seq, target);
  }
}
