import {
  ablated,
  decodeMessage,
  EpochTrail,
  type ResetReason,
  toVersionState,
  type Version,
  type VersionRecord,
  type VersionState,
} from "@larder/cache-core";
import { countError } from "./bus-stats.ts";
import type { LaneContext } from "./lane-context.ts";
import { LaneOrder } from "./lane-order.ts";
import { type Beat, LaneProof } from "./lane-proof.ts";
import { recallPlaces, replayLog } from "./lane-replay.ts";
import { count, isGenuine, tell } from "./lane-teller.ts";
import { parseHeartbeat } from "./parse-reply.ts";
import { check } from "./scripts.ts";

/*
 * One lane's order, followed without a hole.
 *
 * What is known. Every invalidation of a lane has a place: an epoch (128 random bits) and a seq that counts up inside it. The log in Redis
 * keeps the last ones; pub/sub pushes each as it happens, at most once and only while connected. `#seq` is the last place up to which
 * something was told to the cache. A message at `#seq + 1` moves it on; one at or below is a repetition; one further on shows a hole.
 * All of them are told at once, because dropping early is always safe, and a hole is filled from the log.
 *
 * What a place is worth. It is written by the script after the sender has signed, so whoever may publish can put any place in front of a
 * body that he has heard before. A message is therefore told whatever its place: one whose place is taken already may be the real one,
 * and the one before it a forgery. And a place stands for the real message only as long as the subscription has not changed since: what
 * was published while there was none is lost, and a forgery in its place would hide that. So `#verified` counts beside `#seq`: up to there
 * everything was read from the log, or was heard on one and the same subscription before a heartbeat that was. A new subscription counts
 * from `#verified` again and reads the log up to its own first heartbeat, though it may find there what it has heard; what was published
 * after that heartbeat is heard. (What this cannot see is a message that is lost while the subscription seems to stand. On a cluster
 * nodes pass messages on among themselves, and the client replaces a node's connection without a word: there a forgery at the very place
 * of the message that was lost hides it, and the TTL bounds that.)
 *
 * What counts as proof. Every heartbeat runs the check script, which publishes a nonce with (epoch, seq) on a channel of our own, on the
 * connection that carries the invalidations. That connection keeps its order, so when the nonce is heard, whatever was published before
 * it either was heard too or is missing for good, and the seq in it tells which. Once `#seq` has reached it, nothing published before the
 * instant at which the heartbeat was *sent* is unknown here, and that instant, not the arrival, is the proof: an event loop that was
 * blocked reads an old nonce late and gains nothing by it.
 *
 * When everything must go. The epoch differs (record lost, Redis emptied, restarted, failed over), the log has a hole or an entry that
 * cannot be read, or the seq went backwards. Then a new baseline is taken from a check's reply: reset first, then count from there. An
 * entry filled before the reset is dropped, a load begun before it is detached, and anything invalidated after the check ran has a higher
 * seq and is found missing if it is not heard. The first check of all is such a baseline, so the order of SUBSCRIBE and check cannot hurt.
 * A state that the server has left behind once (`EpochTrail`) is no baseline: who was cut off meanwhile cannot see that it came back, and
 * would go on with it. The next heartbeat puts a new epoch in its place, which everyone finds.
 *
 * What a baseline does not tell. The check gives the count of places, and by name only what was invalidated by pattern. That is enough for what is
 * read from the server that counts. But a second tier may still be connected to a master that was demoted, which follows one that lacks the last
 * writes and has an old entry again; who had heard of its key refuses it, who joined after that would serve it. So the last keys and tags
 * are read from the log at each baseline, and until they are known the tier asks the server that it reads from, which refuses when it follows another.
 *
 * Interleavings that this survives, each a test: messages lost with the connection; heartbeat overtaking nothing but arriving before its
 * own check's reply; an epoch moving between two pages of a replay; a log trimmed under a replay; old replies after a reconnect; a
 * message from a foreign epoch; a forged place, before or after the real one, and with the real one lost. One that it does not: two
 * servers that both believe to be the master (split brain). Each side's processes prove themselves fresh against their own;
 * `min-replicas-to-write` bounds that in Redis, and the TTL bounds it here.
 *
 * Sources: Redis, "Redis Pub/Sub: delivery semantics" (at most once); M. Annamalai et al., "Skybridge", OSDI 2025 (bounded or known
 * unknown); Redis, "Client-side caching: what to do when losing connection".
 */

/** Checks answered without their nonce being heard, after which the subscription is taken for dead. */
const MAX_UNHEARD = 3;
/** Calls that failed in a row, after which invalidations are refused at once until a heartbeat is answered. */
const MAX_FAILURES = 3;
/** Milliseconds between two heartbeats sent out of turn: what a flood of foreign messages can make us ask. */
const URGENT_GAP_MS = 25;

/**
 * Follows one lane: what is heard of it, and what is asked. All of its state changes happen synchronously in the callbacks of the port. The places that
 * are known stand in `lane-order.ts`, what a heartbeat proves in `lane-proof.ts`, how the log is read in `lane-replay.ts`.
 */
export class Lane {
  readonly channel: string;
  readonly heartbeatChannel: string;
  /** Where its record has been. */
  readonly trail: EpochTrail = new EpochTrail();
  /** Monotonic milliseconds up to which nothing was missed; `-Infinity` before the first proof. */
  lastProofAt: number = -Infinity;
  readonly #context: LaneContext;
  readonly #order: LaneOrder;
  readonly #proof: LaneProof;
  /** The epoch that came back or went backwards, until another one has been seen. */
  #voided = "";
  #lastAnswered = 0;
  #unheard = 0;
  /** A message of an epoch that is not ours was heard, and no check sent since has told which one counts. */
  #isForeign = false;
  #foreignBefore = 0;
  #failures = 0;
  #isReplaying = false;
  #isRecalling = false;
  #isAsking = false;
  #isClosed = false;

  constructor(context: LaneContext) {
    const { keySpace, lane } = context;
    this.#context = context;
    this.#order = new LaneOrder([keySpace.record(lane), keySpace.log(lane)]);
    this.#proof = new LaneProof(this.#order);
    this.channel = keySpace.channel(lane);
    this.heartbeatChannel = `${keySpace.base(lane)}beat:${context.originId}`;
  }

  /**
   * What is known of the lane's version; `undefined` before the first answer, and while
   * - a message of another epoch says that what is known is of a past one: values judged by it would be served though they are void;
   * - something before the last message is missing. The record's `seq` then names a place up to which it does not know everything, and a
   *   second tier that relies on it would forget what this process invalidated itself: the echo of its own tag was lost with a connection,
   *   the next message came over the new one, and the old value was served, and kept, until its time to live was over;
   * - it is not known which keys were invalidated last before the baseline: see the essay.
   * All were found by the simulator.
   */
  get record(): VersionRecord | undefined {
    const { baselineDue, ahead, isRecalled, record } = this.#order;
    return this.#isForeign || baselineDue !== undefined || ahead.size > 0 || !isRecalled ? undefined : record;
  }

  /** Whether checks are answered and their nonces do not come: the subscription is dead, whatever its socket says. */
  get isDeaf(): boolean {
    return this.#unheard >= MAX_UNHEARD;
  }

  /** Whether the subscription stands, as far as the port has told. */
  get isSubscribed(): boolean {
    return this.#proof.isSubscribed;
  }

  /** Whether the last calls all failed: further ones would only wait. A heartbeat that is answered ends it. */
  get isDown(): boolean {
    return this.#failures >= MAX_FAILURES;
  }

  /** A call of this lane was answered, or failed. */
  onCallSettled(isAnswered: boolean): void {
    this.#failures = isAnswered ? 0 : this.#failures + 1;
  }

  /** What the server has told so far of the lane's version. */
  get known(): Version {
    return this.trail.last;
  }

  /** An invalidation of ours has its place. @param known of when it was sent */
  onAcknowledged(version: Version, known: Version): void {
    this.onCallSettled(true);
    this.trail.see(version, known);
  }

  /** The subscription stands anew: what was missed is asked for at once. */
  onSubscribed(): void {
    this.#unheard = 0;
    this.#proof.doubt(true);
    this.#context.onBeatWanted();
  }

  /** The subscription is gone. Told before anything is heard on the next one, which may be before that is known to stand. */
  onLost(): void {
    this.#proof.doubt(false);
  }

  /** Messages were thrown away unread. */
  onOverflow(): void {
    this.#lose("overflow");
  }

  close(): void {
    this.#isClosed = true;
    // Whatever is still under way is of no use.
    this.#order.baselineDue ??= "epoch-changed";
  }

  /** Sends a heartbeat, and is over when what its answer asks for at a baseline is known: who bounds heartbeats bounds that, too. Never rejects. */
  async beat(): Promise<void> {
    const { port, clock, random, counters, timeoutMs } = this.#context;
    if (this.#isClosed) return;
    const sentAt = clock.now();
    const wallSentAt = clock.wallNow();
    const nonce = random.token();
    const beat = this.#proof.send(nonce, sentAt);
    const { known } = this;
    counters.heartbeats += 1;
    try {
      const args = [random.token(), port.publishCommand, this.heartbeatChannel, nonce, this.#voided];
      const reply = await port.run(check, this.#order.keys, args, timeoutMs);
      this.onCallSettled(true);
      // A reply that was overtaken, on a connection since replaced, tells an older state.
      if (this.#isClosed || beat.order < this.#lastAnswered || !Array.isArray(reply)) return;
      this.#lastAnswered = beat.order;
      if (this.#proof.isExpected(nonce)) this.#unheard += 1;
      if (beat.order >= this.#foreignBefore) this.#isForeign = false;
      this.#context.onRedisTime(Number(reply[5]), wallSentAt, clock.wallNow());
      this.#onState(toVersionState(reply), beat, known);
      await this.#recall();
    } catch (error) {
      countError(counters, error);
      this.onCallSettled(false);
    }
  }

  /** A heartbeat of ours was heard. */
  onHeartbeat(text: string): void {
    const heartbeat = parseHeartbeat(text);
    const beat = heartbeat && this.#proof.take(heartbeat.nonce);
    if (!heartbeat || !beat) {
      this.#context.counters.malformed += 1;
      return;
    }
    this.#unheard = 0;
    if (!this.#proof.counts(beat)) return;
    if (this.#isBackwards(heartbeat, beat)) {
      this.#lose("epoch-changed");
      return;
    }
    this.#proof.weigh({ ...heartbeat, sentAt: beat.sentAt });
    this.#settle();
  }

  /** A message of the lane was heard. */
  onMessage(text: string): void {
    const order = this.#order;
    const { counters } = this.#context;
    const heard = decodeMessage(text);
    if (!heard || !isGenuine(this.#context, heard)) {
      counters.malformed += 1;
      return;
    }
    // Dropping what it names is right in any epoch and at any place, one that is taken included: see the essay.
    tell(this.#context, order, heard);
    if (heard.epoch !== order.epoch || this.#order.baselineDue !== undefined) {
      // Its place cannot be judged yet; a check tells which epoch this is.
      count(this.#context, heard);
      order.keepEarly(heard);
      if (heard.epoch !== order.epoch) {
        this.#isForeign = true;
        this.#foreignBefore = this.#proof.beats + 1;
        this.#ask();
      }
      return;
    }
    if (order.isTaken(heard.seq)) {
      counters.duplicates += 1;
      return;
    }
    count(this.#context, heard);
    if (heard.seq === order.seq + 1) {
      order.advance(heard.seq);
      this.#settle();
    } else if (order.skipTo(heard.seq)) {
      void this.#fillHole();
    } else {
      this.#lose("overflow");
    }
  }

  /** Whether the server knows less than was known here when it was asked. */
  #isBackwards(answer: Version, beat: Beat): boolean {
    const { epoch, baselines } = this.#order;
    return answer.epoch === epoch && baselines === beat.baselines && answer.seq < beat.seqFloor;
  }

  #onState(state: VersionState, beat: Beat, known: Version): void {
    const isPast = this.trail.see(state, known);
    this.#voided = isPast ? state.epoch : "";
    if (isPast) {
      this.#lose("epoch-changed");
      return;
    }
    if (state.epoch !== this.#order.epoch || this.#isBackwards(state, beat)) this.#order.baselineDue ??= "epoch-changed";
    if (this.#order.baselineDue !== undefined) this.#takeBaseline(state, this.#order.baselineDue);
    this.#settle();
  }

  #takeBaseline(state: VersionState, reason: ResetReason): void {
    if (this.#order.baselines > 0) this.#context.counters.resets += 1;
    this.#context.onReset(reason);
    this.#order.begin(state);
  }

  /** Never rejects: what fails is tried again with the next heartbeat that is answered. */
  async #recall(): Promise<void> {
    if (this.#order.isRecalled || this.#isRecalling) return;
    this.#isRecalling = true;
    try {
      await recallPlaces(this.#context, this.#order);
    } catch (error) {
      countError(this.#context.counters, error);
    }
    this.#isRecalling = false;
  }

  /** Counts the newest heartbeat as proof when everything before it is known; else goes to find out. */
  #settle(): void {
    const heard = this.#proof.pending;
    // While a baseline is due, the reply of that heartbeat's own check decides.
    if (heard === undefined || this.#order.baselineDue !== undefined) return;
    if (!this.#proof.isCovered(heard.seq) && !ablated.has("sequence")) {
      void this.#fillHole();
      return;
    }
    this.#proof.drop();
    this.#order.verified = Math.max(this.#order.verified, heard.seq);
    if (heard.sentAt <= this.lastProofAt) return;
    this.lastProofAt = heard.sentAt;
    this.#context.counters.proofs += 1;
    this.#context.onProof();
  }

  /** Everything held must go; a check's reply gives the new baseline. */
  #lose(reason: ResetReason): void {
    this.#order.baselineDue ??= reason;
    this.#ask();
  }

  /** A heartbeat out of turn, as soon as the last one is not too fresh. */
  #ask(): void {
    if (this.#isAsking) return;
    const { clock } = this.#context;
    const sinceMs = clock.now() - this.#proof.beatAt;
    if (sinceMs >= URGENT_GAP_MS) {
      this.#context.onBeatWanted();
      return;
    }
    this.#isAsking = true;
    clock.setTimer(() => {
      this.#isAsking = false;
      if (!this.#isClosed) this.#context.onBeatWanted();
    }, URGENT_GAP_MS - sinceMs);
  }

  /** Asks the log for what is missing. Never rejects: what fails here is found again by the next heartbeat. */
  async #fillHole(): Promise<void> {
    if (this.#isReplaying) return;
    this.#isReplaying = true;
    this.#context.counters.gaps += 1;
    try {
      const loss = await replayLog(this.#context, this.#order, () => this.#proof.pending?.seq ?? 0);
      if (loss !== undefined) this.#lose(loss);
    } catch (error) {
      countError(this.#context.counters, error);
      this.#proof.drop();
    }
    this.#isReplaying = false;
    this.#settle();
  }
}
