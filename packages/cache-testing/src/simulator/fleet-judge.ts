import { isCalmPlan, SETTLED_AT } from "./calm-plan.ts";
import type { CalledLoader } from "./load-judge.ts";
import type { SchedulePlan } from "./schedule-plan.ts";

/** How long what disturbed a key may go on being felt: a lease given back is still on the wire. */
const ECHO_MS = 60;
/** Values that live shorter may be over before those who waited for them have looked. */
const LASTING_MS = 100;
/** The second tier's own bound of a load, in milliseconds, where nothing else is said. */
const MAX_LOAD_MS = 600_000;

/**
 * Judges that a fleet calls one loader of a key at a time, where its calls ask for that and there is a second tier to keep leases (I5). A lease
 * is a promise for good weather: it gives way when Redis is slow, its holder dies, a load fails, lasts longer than the tier allows, or has its key dropped.
 * So only schedules without faults are judged, and in them loads that nothing has disturbed.
 */
export class FleetJudge {
  readonly #isCalm: boolean;
  readonly #maxLoadMs: number;
  readonly #running: Map<string, CalledLoader> = new Map();
  /** By key, and of all: when it was last disturbed, which may be known beforehand. */
  readonly #disturbedAt: Map<string, number> = new Map();
  #allDisturbedAt = -Infinity;

  /** @param maxLoadMs the second tier's own bound of a load, in milliseconds: what a longer one makes is not kept */
  constructor(plan: SchedulePlan, maxLoadMs: number = MAX_LOAD_MS) {
    this.#maxLoadMs = maxLoadMs;
    this.#isCalm = isCalmPlan(plan) && plan.ttlMs >= LASTING_MS;
  }

  /** Something happens to a key, or to several, for which a lease may give way. */
  disturb(key: string | undefined, at: number): void {
    if (key === undefined) this.#allDisturbedAt = Math.max(this.#allDisturbedAt, at);
    else this.#disturbedAt.set(key, Math.max(at, this.#disturbedAt.get(key) ?? -Infinity));
  }

  /** A loader is called under a lease. @returns what is wrong with that; `undefined` = nothing */
  begin(called: CalledLoader, now: number): string | undefined {
    if (!this.#isCalm) return undefined;
    const { process, key } = called;
    const running = this.#running.get(key);
    this.#running.set(key, called);
    if (running === undefined || running.process === process || !running.process.hasStore || !process.hasStore) return undefined;
    if (this.#isTooLong(running.askedAt, now) || this.#isDisturbed(key, Math.min(running.askedAt, called.askedAt))) return undefined;
    return `I5 processes ${running.process.index} and ${process.index}: two loads of ${key} at ${now.toFixed(3)}, under leases both`;
  }

  /**
   * A loader has answered. What it made is not kept where its key was disturbed meanwhile or it took too long, and then all who waited for it load at once.
   */
  end(called: CalledLoader, now: number): void {
    const { key, askedAt } = called;
    if (this.#running.get(key) === called) this.#running.delete(key);
    if (this.#isTooLong(askedAt, now) || this.#isDisturbed(key, askedAt)) this.disturb(key, now);
  }

  #isTooLong(askedAt: number, now: number): boolean {
    return now - askedAt > this.#maxLoadMs;
  }

  /** Whether something disturbed a key since an instant, or so shortly before that it may still be felt. */
  #isDisturbed(key: string, since: number): boolean {
    return since <= Math.max(SETTLED_AT, this.#allDisturbedAt, this.#disturbedAt.get(key) ?? -Infinity) + ECHO_MS;
  }
}
