import type { Clock } from "@larder/cache-core";
import type { RedisPort } from "./redis-port.ts";

/** What ends a wait on a channel. */
export type Wake =
  | "stored" // the holder's value is there
  | "not-stored" // it will not be
  | "failed" // the holder's load failed
  | "look" // nothing is known: ask the server
  | "gone"; // the server cannot be reached, or the caller has left

/** Waits on channels for the end of other processes' loads. */
export class WakeListener {
  readonly #port: RedisPort;
  readonly #clock: Clock;
  readonly #waits: Map<string, Set<(wake: Wake) => void>> = new Map();

  constructor(port: RedisPort, clock: Clock) {
    this.#port = port;
    this.#clock = clock;
  }

  /**
   * Begins to listen. @returns when the server has acknowledged it (`true`), or it cannot be had in time (`false`). From then on no
   * message is missed until `leave`.
   */
  async listen(channel: string, hear: (wake: Wake) => void, timeoutMs: number): Promise<boolean> {
    const waits = this.#waits.get(channel) ?? new Set();
    this.#waits.set(channel, waits);
    waits.add(hear);
    return new Promise((resolve) => {
      const cancel = this.#clock.setTimer(() => {
        // It may have lost its way, which nobody else would notice: a connection that only listens sends nothing that could fail.
        this.#port.dropSubscriptions?.();
        resolve(false);
      }, timeoutMs);
      const finish = (isHeard: boolean): void => {
        cancel();
        resolve(isHeard);
      };
      this.#port.subscribe(channel).then(
        () => finish(true),
        () => finish(false),
      );
    });
  }

  /** Ends one wait, and the subscription with the last. */
  leave(channel: string, hear: (wake: Wake) => void): void {
    const waits = this.#waits.get(channel);
    if (!waits?.delete(hear) || waits.size > 0) return;
    this.#waits.delete(channel);
    this.#port.unsubscribe(channel);
  }

  /** A message came. Others than ours are none. */
  tell(channel: string, text: string): void {
    if (text !== "stored" && text !== "not-stored" && text !== "failed") return;
    for (const hear of [...(this.#waits.get(channel) ?? [])]) hear(text);
  }

  /** Messages may have been missed, or the server cannot be reached: ends every wait. */
  tellAll(wake: "look" | "gone"): void {
    for (const waits of [...this.#waits.values()]) for (const hear of [...waits]) hear(wake);
  }
}
