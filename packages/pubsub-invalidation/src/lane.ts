import {
  ablated,
  type Clock,
  decodeBody,
  decodeMessage,
  encodeBody,
  type Invalidation,
  type KeySpace,
  type RandomSource,
  type ResetReason,
  toVersionState,
  type Version,
  VersionRecord,
  type VersionState,
} from "@larder/cache-core";
import type { BodySigner } from "./body-signer.ts";
import type { BusPort } from "./bus-port.ts";
import type { BusCounters } from "./bus-stats.ts";
import { parseHeartbeat, parseLogEntry, parseLogPage } from "./parse-reply.ts";
import { check, replay } from "./scripts.ts";

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

/** Heartbeats whose nonce may still come. */
const MAX_BEATS = 16;
/** Messages told ahead of a hole; with more, everything is dropped. */
const MAX_AHEAD = 4_096;
/** Log entries asked for at once. */
const PAGE = 500;
/** Pages of one replay; a longer gap costs more than loading what is asked for anew. */
const MAX_PAGES = 20;
/** Checks answered without their nonce being heard, after which the subscription is taken for dead. */
const MAX_UNHEARD = 3;
/** Calls that failed in a row, after which invalidations are refused at once until a heartbeat is answered. */
const MAX_FAILURES = 3;
/** Milliseconds between two heartbeats sent out of turn: what a flood of foreign messages can make us ask. */
const URGENT_GAP_MS = 25;

/** What a lane needs from the channel that it is a part of. */
export interface LaneContext {
  readonly port: BusPort;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly counters: BusCounters;
  readonly keySpace: KeySpace;
  readonly lane: number;
  readonly originId: string;
  readonly signer: BodySigner | undefined;
  /** Deadline of checks and replays in milliseconds. */
  readonly timeoutMs: number;
  onInvalidation(invalidation: Invalidation): void;
  onReset(reason: ResetReason): void;
  /** The lane's proof moved. */
  onProof(): void;
  /** A heartbeat is wanted out of turn: `beat` is to be called, at once or when there is room for it. */
  onBeatWanted(lane: Lane): void;
  /** Redis time, as told by a check sent at a wall-clock instant and answered at another. */
  onRedisTime(redisAt: number, sentAt: number, answeredAt: number): void;
}

interface Beat {
  /** How many were sent up to it. */
  readonly order: number;
  /** Monotonic milliseconds. */
  readonly sentAt: number;
  /** What was known when it was sent: a server that answers less, in the same epoch and baseline, has lost writes. */
  readonly seqFloor: number;
  readonly baselines: number;
}

interface Heard {
  readonly epoch: string;
  readonly seq: number;
  readonly sentAt: number;
}

/** Follows one lane. All of its state changes happen synchronously in the callbacks of the port. */
export class Lane {
  readonly channel: string;
  readonly heartbeatChannel: string;
  /** Monotonic milliseconds up to which nothing was missed; `-Infinity` before the first proof. */
  lastProofAt: number = -Infinity;
  readonly #context: LaneContext;
  readonly #keys: readonly [record: string, log: string];
  #record: VersionRecord | undefined;
  #epoch = "";
  #seq = 0;
  /** The last place up to which everything was told for certain: read from the log, or heard before a heartbeat on one subscription. */
  #verified = 0;
  #baselineDue: ResetReason | undefined = "epoch-changed";
  #baselines = 0;
  /** Places told ahead of a hole. */
  readonly #ahead: Set<number> = new Set();
  /** Messages heard while no baseline was known, or of an epoch that was not known yet. */
  readonly #early: Invalidation[] = [];
  /** The heartbeats still expected, by nonce. */
  readonly #beats: Map<string, Beat> = new Map();
  #beatsSent = 0;
  #lastAnswered = 0;
  #lastBeatAt = -Infinity;
  #unheard = 0;
  /** Not subscribed, or subscribed anew and not yet caught up with by way of the log: places heard since `#verified` count for nothing. */
  #isUnverified = true;
  /** Beats before this one were sent before the subscription stood: others may have heard their nonces where we did not. */
  #verifyingBeat = Infinity;
  /** What the first heartbeat of the new subscription told: up to there the log is read. */
  #verifyTo: number | undefined;
  /** A message of an epoch that is not ours was heard, and no check sent since has told which one counts. */
  #isForeign = false;
  #foreignBefore = 0;
  #failures = 0;
  /** The newest heartbeat heard that is not yet covered. */
  #toProve: Heard | undefined;
  #isReplaying = false;
  #isAsking = false;
  #isClosed = false;

  constructor(context: LaneContext) {
    const { keySpace, lane } = context;
    this.#context = context;
    this.#keys = [keySpace.record(lane), keySpace.log(lane)];
    this.channel = keySpace.channel(lane);
    this.heartbeatChannel = `${keySpace.base(lane)}beat:${context.originId}`;
  }

  /**
   * What is known of the lane's version; `undefined` before the first answer, and while
   * - a message of another epoch says that what is known is of a past one: values judged by it would be served though they are void;
   * - something before the last message is missing. The record's `seq` then names a place up to which it does not know everything, and a
   *   second tier that relies on it would forget what this process invalidated itself: the echo of its own tag was lost with a connection,
   *   the next message came over the new one, and the old value was served, and kept, until its time to live was over.
   * Both were found by the simulator.
   */
  get record(): VersionRecord | undefined {
    return this.#isForeign || this.#baselineDue !== undefined || this.#ahead.size > 0 ? undefined : this.#record;
  }

  /** Whether checks are answered and their nonces do not come: the subscription is dead, whatever its socket says. */
  get isDeaf(): boolean {
    return this.#unheard >= MAX_UNHEARD;
  }

  /** Whether the subscription stands, as far as the port has told. */
  get isSubscribed(): boolean {
    return this.#verifyingBeat < Infinity;
  }

  /** Whether the last calls all failed: further ones would only wait. A heartbeat that is answered ends it. */
  get isDown(): boolean {
    return this.#failures >= MAX_FAILURES;
  }

  /** A call of this lane was answered, or failed. */
  onCallSettled(isAnswered: boolean): void {
    this.#failures = isAnswered ? 0 : this.#failures + 1;
  }

  /** The subscription stands anew: what was missed is asked for at once. */
  onSubscribed(): void {
    this.#unheard = 0;
    this.#doubt(this.#beatsSent + 1);
    this.#context.onBeatWanted(this);
  }

  /** The subscription is gone. Told before anything is heard on the next one, which may be before that is known to stand. */
  onLost(): void {
    this.#doubt(Infinity);
  }

  /** Messages were thrown away unread. */
  onOverflow(): void {
    this.#lose("overflow");
  }

  close(): void {
    this.#isClosed = true;
    this.#beats.clear();
  }

  /** Sends a heartbeat. Never rejects. */
  async beat(): Promise<void> {
    const { port, clock, random, counters, timeoutMs } = this.#context;
    if (this.#isClosed) return;
    this.#beatsSent += 1;
    const order = this.#beatsSent;
    const sentAt = clock.now();
    const wallSentAt = clock.wallNow();
    const beat: Beat = { order, sentAt, seqFloor: this.#seq, baselines: this.#baselines };
    const nonce = random.token();
    this.#lastBeatAt = sentAt;
    this.#expect(nonce, beat);
    counters.heartbeats += 1;
    try {
      const reply = await port.run(check, this.#keys, [random.token(), port.publishCommand, this.heartbeatChannel, nonce], timeoutMs);
      this.onCallSettled(true);
      // A reply that was overtaken, on a connection since replaced, tells an older state.
      if (this.#isClosed || order < this.#lastAnswered || !Array.isArray(reply)) return;
      this.#lastAnswered = order;
      if (this.#beats.has(nonce)) this.#unheard += 1;
      if (order >= this.#foreignBefore) this.#isForeign = false;
      this.#context.onRedisTime(Number(reply[5]), wallSentAt, clock.wallNow());
      this.#onState(toVersionState(reply.slice(0, 5)), beat);
    } catch {
      counters.errors += 1;
      this.onCallSettled(false);
    }
  }

  /** A heartbeat of ours was heard. */
  onHeartbeat(text: string): void {
    const heartbeat = parseHeartbeat(text);
    const beat = heartbeat && this.#beats.get(heartbeat.nonce);
    if (!heartbeat || !beat) {
      this.#context.counters.malformed += 1;
      return;
    }
    this.#beats.delete(heartbeat.nonce);
    this.#unheard = 0;
    if (beat.order < this.#verifyingBeat) return;
    if (this.#isBackwards(heartbeat, beat)) {
      this.#lose("epoch-changed");
      return;
    }
    const { sentAt } = beat;
    if (this.#toProve === undefined || sentAt >= this.#toProve.sentAt) this.#toProve = { ...heartbeat, sentAt };
    this.#settle();
  }

  /** A message of the lane was heard. */
  onMessage(text: string): void {
    const { counters } = this.#context;
    const heard = decodeMessage(text);
    if (!heard || !this.#isGenuine(heard)) {
      counters.malformed += 1;
      return;
    }
    // Dropping what it names is right in any epoch and at any place, one that is taken included: see the essay.
    this.#tell(heard);
    if (heard.epoch !== this.#epoch || this.#baselineDue !== undefined) {
      // Its place cannot be judged yet; a check tells which epoch this is.
      this.#count(heard);
      this.#keepEarly(heard);
      if (heard.epoch !== this.#epoch) {
        this.#isForeign = true;
        this.#foreignBefore = this.#beatsSent + 1;
        this.#ask();
      }
      return;
    }
    if (heard.seq <= this.#seq || this.#ahead.has(heard.seq)) {
      counters.duplicates += 1;
      return;
    }
    this.#count(heard);
    if (heard.seq === this.#seq + 1) {
      this.#advance(heard.seq);
      this.#settle();
    } else {
      this.#leaveHole(heard.seq);
    }
  }

  /** Whether the server knows less than was known here when it was asked. */
  #isBackwards(answer: Version, beat: Beat): boolean {
    return answer.epoch === this.#epoch && this.#baselines === beat.baselines && answer.seq < beat.seqFloor;
  }

  #expect(nonce: string, beat: Beat): void {
    this.#beats.set(nonce, beat);
    if (this.#beats.size <= MAX_BEATS) return;
    const oldest = this.#beats.keys().next();
    if (!oldest.done) this.#beats.delete(oldest.value);
  }

  #isGenuine(body: { readonly origin: string; readonly target: Invalidation["target"]; readonly signature: string | undefined }): boolean {
    const { signer, keySpace } = this.#context;
    return signer === undefined || signer.verify(keySpace.namespace, encodeBody(body.origin, body.target), body.signature);
  }

  #tell(heard: Invalidation): void {
    if (heard.epoch === this.#epoch) this.#record?.apply(heard.seq, heard.target);
    const { epoch, seq, origin, target } = heard;
    if (origin !== this.#context.originId) this.#context.onInvalidation({ epoch, seq, origin, target });
  }

  #count({ origin }: Invalidation): void {
    this.#context.counters[origin === this.#context.originId ? "ownEchoes" : "messages"] += 1;
  }

  #doubt(verifyingBeat: number): void {
    this.#isUnverified = true;
    this.#verifyingBeat = verifyingBeat;
    this.#verifyTo = undefined;
    this.#toProve = undefined;
  }

  #advance(seq: number): void {
    this.#seq = seq;
    while (this.#ahead.delete(this.#seq + 1)) this.#seq += 1;
  }

  #leaveHole(seq: number): void {
    if (this.#ahead.size >= MAX_AHEAD) {
      this.#lose("overflow");
      return;
    }
    this.#ahead.add(seq);
    void this.#fillHole();
  }

  #onState(state: VersionState, beat: Beat): void {
    if (state.epoch !== this.#epoch || this.#isBackwards(state, beat)) this.#baselineDue ??= "epoch-changed";
    if (this.#baselineDue !== undefined) this.#takeBaseline(state, this.#baselineDue);
    this.#settle();
  }

  #takeBaseline(state: VersionState, reason: ResetReason): void {
    if (this.#baselines > 0) this.#context.counters.resets += 1;
    this.#baselines += 1;
    this.#epoch = state.epoch;
    this.#seq = state.seq;
    this.#verified = state.seq;
    this.#verifyTo = undefined;
    this.#record = new VersionRecord(state);
    this.#ahead.clear();
    this.#baselineDue = undefined;
    this.#context.onReset(reason);
    this.#recallEarly();
  }

  /** Keeps what was heard before its place could be judged: a check that ran before it was published knows nothing of it. */
  #keepEarly(heard: Invalidation): void {
    this.#early.push(heard);
    if (this.#early.length > MAX_AHEAD) this.#early.shift();
  }

  /**
   * Puts what was heard early behind the baseline. It has been told, so the first tier holds nothing of it; without this the record by
   * which the second tier's values are judged would forget it until the next heartbeat (found by the simulator).
   */
  #recallEarly(): void {
    for (const heard of this.#early.splice(0)) {
      if (heard.epoch !== this.#epoch || heard.seq <= this.#seq) continue;
      this.#record?.apply(heard.seq, heard.target);
      this.#ahead.add(heard.seq);
    }
    this.#advance(this.#seq);
  }

  /** Counts the newest heartbeat as proof when everything before it is known; else goes to find out. */
  #settle(): void {
    const heard = this.#toProve;
    if (heard === undefined || this.#isClosed) return;
    // Another epoch or a baseline that is due: the reply of that heartbeat's own check decides.
    if (this.#baselineDue !== undefined || heard.epoch !== this.#epoch) return;
    if (!this.#isCovered(heard.seq) && !ablated.has("sequence")) {
      void this.#fillHole();
      return;
    }
    this.#toProve = undefined;
    this.#verified = Math.max(this.#verified, heard.seq);
    if (heard.sentAt <= this.lastProofAt) return;
    this.lastProofAt = heard.sentAt;
    this.#context.counters.proofs += 1;
    this.#context.onProof();
  }

  /** Whether everything up to a heartbeat's place was told, as far as this subscription and the log can say. */
  #isCovered(seq: number): boolean {
    if (this.#isUnverified) {
      this.#verifyTo ??= seq;
      if (this.#verified < this.#verifyTo) return false;
      this.#isUnverified = false;
    }
    return seq <= this.#seq;
  }

  /** Everything held must go; a check's reply gives the new baseline. */
  #lose(reason: ResetReason): void {
    this.#baselineDue ??= reason;
    this.#ask();
  }

  /** A heartbeat out of turn, as soon as the last one is not too fresh. */
  #ask(): void {
    if (this.#isAsking) return;
    const { clock } = this.#context;
    const sinceMs = clock.now() - this.#lastBeatAt;
    if (sinceMs >= URGENT_GAP_MS) {
      this.#context.onBeatWanted(this);
      return;
    }
    this.#isAsking = true;
    clock.setTimer(() => {
      this.#isAsking = false;
      if (!this.#isClosed) this.#context.onBeatWanted(this);
    }, URGENT_GAP_MS - sinceMs);
  }

  /** Reads the log from the first place in doubt: what was heard since may have stood at a place that was not its own. Never rejects. */
  async #fillHole(): Promise<void> {
    if (this.#isReplaying || this.#isClosed) return;
    this.#isReplaying = true;
    this.#context.counters.gaps += 1;
    try {
      for (let page = 0; await this.#replayPage(); page += 1) {
        if (page < MAX_PAGES) continue;
        this.#lose("overflow");
        break;
      }
    } catch {
      // The next heartbeat finds the hole again.
      this.#context.counters.errors += 1;
      this.#toProve = undefined;
    } finally {
      this.#isReplaying = false;
    }
    this.#settle();
  }

  /** @returns whether there may be more */
  async #replayPage(): Promise<boolean> {
    const { port, counters, timeoutMs } = this.#context;
    const baselines = this.#baselines;
    const seqFloor = Math.max(this.#seq, this.#toProve?.epoch === this.#epoch ? this.#toProve.seq : 0);
    const ahead = [...this.#ahead];
    const page = parseLogPage(await port.run(replay, this.#keys, [String(this.#verified + 1), String(PAGE)], timeoutMs));
    if (this.#isClosed || this.#baselines !== baselines || this.#baselineDue !== undefined) return false;
    // A record that counts less far than what was heard has lost writes.
    if (page === undefined || page.epoch !== this.#epoch || page.seq < seqFloor) {
      this.#lose("epoch-changed");
      return false;
    }
    // Heard before the log was asked, and beyond what it counts: nobody was given that place.
    for (const seq of ahead) if (seq > page.seq) this.#ahead.delete(seq);
    if (ablated.has("replay")) this.#seq = this.#verified = page.seq;
    for (const entry of page.entries) {
      if (!this.#takeEntry(entry)) {
        this.#lose("log-lost");
        return false;
      }
    }
    if (this.#verified >= page.seq) {
      counters.replays += 1;
      return false;
    }
    // The record counts further than the log goes: its end is gone.
    if (page.entries.length === 0) this.#lose("log-lost");
    return page.entries.length > 0;
  }

  /** @returns whether the entry follows on what is known, and says something that can be understood */
  #takeEntry(raw: unknown): boolean {
    const entry = parseLogEntry(raw);
    if (entry === undefined) return false;
    if (entry.seq <= this.#verified) return true;
    if (entry.seq !== this.#verified + 1) return false;
    const decoded = decodeBody(entry.body);
    // An invalidation that this version of larder cannot read must still be obeyed: everything may be meant.
    if (!decoded || !this.#isGenuine(decoded)) return false;
    const learnt: Invalidation = { epoch: this.#epoch, seq: entry.seq, origin: decoded.origin, target: decoded.target };
    this.#tell(learnt);
    this.#verified = entry.seq;
    if (entry.seq <= this.#seq) return true;
    this.#context.counters.replayed += 1;
    this.#count(learnt);
    this.#advance(entry.seq);
    return true;
  }
}
