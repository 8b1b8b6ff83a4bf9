import { type Invalidation, type ResetReason, VersionRecord, type VersionState } from "@larder/cache-core";

/** Messages told ahead of a hole, and messages kept until their place can be judged. */
const MAX_AHEAD = 4_096;

/** The places of a lane and how far they are known: what is counted, and what each count is worth, stands in the essay of `lane.ts`. */
export class LaneOrder {
  /** Where Redis keeps them. */
  readonly keys: readonly [record: string, log: string];
  epoch = "";
  /** The last place up to which something was told. */
  seq = 0;
  /** The last place up to which everything was told for certain: read from the log, or heard before a heartbeat on one subscription. */
  verified = 0;
  /** What the first heartbeat of a new subscription told: up to there the log is read. */
  verifyTo: number | undefined;
  /** How often counting began anew. */
  baselines = 0;
  record: VersionRecord | undefined;
  /** Whether the record knows of what was invalidated last before the baseline. */
  isRecalled = true;
  /** Why nothing known counts any more until there is a new baseline. */
  baselineDue: ResetReason | undefined = "epoch-changed";
  /** Places told ahead of a hole. */
  readonly ahead: Set<number> = new Set();
  /** Messages heard while no baseline was known, or of an epoch that was not known yet. */
  readonly #early: Invalidation[] = [];

  constructor(keys: readonly [record: string, log: string]) {
    this.keys = keys;
  }

  /**
   * Counts from a state that the server told. What was heard early is put behind it: it has been told, so the first tier holds nothing of it, but the
   * record by which the second tier's values are judged would forget it until the next heartbeat (found by the simulator).
   */
  begin(state: VersionState): void {
    this.baselines += 1;
    this.baselineDue = this.verifyTo = undefined;
    this.epoch = state.epoch;
    this.seq = this.verified = state.seq;
    this.record = new VersionRecord(state);
    this.isRecalled = state.seq === 0;
    this.ahead.clear();
    for (const { epoch, seq, target } of this.#early.splice(0)) {
      if (epoch !== this.epoch || seq <= this.seq) continue;
      this.record.apply(seq, target);
      this.ahead.add(seq);
    }
    this.advance(this.seq);
  }

  /** Whether something was told at this place, or further on. */
  isTaken(seq: number): boolean {
    return seq <= this.seq || this.ahead.has(seq);
  }

  /** Everything up to a place was told. */
  advance(seq: number): void {
    this.seq = seq;
    while (this.ahead.delete(this.seq + 1)) this.seq += 1;
  }

  /** A place was told and one before it was not. @returns whether there was room to remember it */
  skipTo(seq: number): boolean {
    if (this.ahead.size >= MAX_AHEAD) return false;
    this.ahead.add(seq);
    return true;
  }

  /** Keeps what was heard before its place could be judged: a check that ran before it was published knows nothing of it. */
  keepEarly(heard: Invalidation): void {
    this.#early.push(heard);
    if (this.#early.length > MAX_AHEAD) this.#early.shift();
  }
}
