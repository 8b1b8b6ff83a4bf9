import type { BackendCall, Clock, InvalidationChannel, InvalidationTarget } from "@larder/cache-core";
import type { Lane } from "./lane.ts";

/** How often is looked whether a channel has told by now where it is, in milliseconds. */
const LOOK_AGAIN_MS = 5;

/** What is told, and to whom. */
export interface ApartMessage {
  readonly channel: InvalidationChannel;
  /** The lanes whose servers have taken the invalidation. */
  readonly lanes: readonly Lane[];
  readonly target: InvalidationTarget;
  readonly call: BackendCall;
  readonly settings: {
    readonly clock: Clock;
    /** Milliseconds >= 0 for which a channel that has told of nothing so far is waited for, at most. */
    readonly writeTimeoutMs: number;
  };
}

/**
 * Tells a channel that does not hear what the scripts publish: one within this process or this machine, or on another server. Those on it follow
 * at once; it proves nothing all the same where it can be seen to be apart (`isOnChannel`).
 *
 * Where it is, nobody knows before its first answer: a process that wrote right after its start took it for the tier's own and told nobody (found by the
 * simulator: seed 955213). So it is waited for. Told at once instead, one that turns out to be on the tier's server would drop there what has just been
 * set; that is the lesser evil when there is no answer in time.
 *
 * A lane that has been closed since counts as well: it took what others are not told of (found by the simulator: a read beside it had timed out).
 */
export async function tellApart({ channel, lanes, target, call, settings }: ApartMessage): Promise<void> {
  // One that has proved itself and tells of no epoch never will.
  const isUnknown = (): boolean => channel.lastProofAt === -Infinity && lanes.some(({ versions }) => versions.isHeard === undefined);
  if (isUnknown()) {
    const { clock, writeTimeoutMs } = settings;
    const giveUpAt = clock.now() + Math.min(writeTimeoutMs, call.budget.leftMs);
    await call.budget.spend(async () => {
      while (isUnknown() && clock.now() < giveUpAt) await new Promise<void>((resolve) => clock.setTimer(resolve, LOOK_AGAIN_MS));
    });
  }
  const isHeard = lanes.every(({ versions }) => versions.isHeard);
  if (channel.lastProofAt === Infinity || !isHeard) await channel.invalidate(target, call);
}
