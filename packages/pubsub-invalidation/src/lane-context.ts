import type { Clock, Invalidation, KeySpace, RandomSource, ResetReason } from "@larder/cache-core";
import type { BodySigner } from "./body-signer.ts";
import type { BusPort } from "./bus-port.ts";
import type { BusCounters } from "./bus-stats.ts";

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
  onBeatWanted(): void;
  /** Redis time, as told by a check sent at a wall-clock instant and answered at another. */
  onRedisTime(redisAt: number, sentAt: number, answeredAt: number): void;
}
