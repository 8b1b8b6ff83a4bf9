import type {
  AbortSignalLike,
  BackendCall,
  FillOptions,
  FillOutcome,
  LeaseOutcome,
  RandomSource,
  Reservation,
  StoreEntry,
  Version,
} from "@larder/cache-core";
import type { CallFailure } from "./call-failure.ts";
import type { EntryReader } from "./entry-reader.ts";
import type { EntryWriter } from "./entry-writer.ts";
import { toText } from "./lane.ts";
import { LEASE_MS, type Leases } from "./leases.ts";
import type { Place } from "./place.ts";
import { reserve } from "./scripts.ts";

/** What a fence and a lease may live at most, in milliseconds: thirty years. */
const MAX_LOAD_MS = 1e12;

/** What reservations work with. */
export interface ReservationsOptions<V> {
  readonly random: RandomSource;
  readonly reader: EntryReader<V>;
  readonly writer: EntryWriter;
  readonly leases: Leases;
  /** Longer than any load, in milliseconds. */
  readonly maxLoadMs: number;
}

/** What a miss takes before its load, and gives back after it. */
export class Reservations<V> {
  readonly #options: ReservationsOptions<V>;
  /** The lease behind a reservation, as it stands in Redis. */
  readonly #holders: WeakMap<Reservation<V>, string> = new WeakMap();

  constructor(options: ReservationsOptions<V>) {
    this.#options = options;
  }

  /** Takes version, fence and, if asked for, the lease of a key. `undefined`: Redis did not say. */
  async take(place: Place, lease: boolean, call: BackendCall): Promise<Reservation<V> | undefined> {
    const { random, writer, leases, maxLoadMs } = this.#options;
    const { lane, name } = place;
    // A process that is busy, as one is that begins, takes in late what the server's clock tells, and knows it the worse: by a deadline that errs on the
    // early side it loaded what another one was loading. A lease that is taken too late has run out in two seconds.
    const deadline = lane.latestServerTime(writer.timeout(call));
    const fenceMs = Math.ceil(Math.min(maxLoadMs, MAX_LOAD_MS));
    const token = lease ? random.token() : "";
    const args = [random.token(), deadline, random.token(), fenceMs, token, LEASE_MS];
    const { known } = lane.versions;
    try {
      const reply = (await writer.run("reserve", lane, reserve, writer.keysOf(place), args, call)) as unknown[];
      return await this.#toReservation(place, reply, known, call);
    } catch (failure) {
      // Unless it said why not, Redis may have given the lease all the same: nobody would give it back, and the others wait for it for two seconds.
      if (lease && (failure as CallFailure).word === "") void leases.release(lane, name, token, "not-stored");
      return undefined;
    }
  }

  /** Stores what was loaded, if nothing has changed since. */
  async fill(place: Place, reservation: Reservation<V>, entry: Buffer, options: FillOptions): Promise<FillOutcome> {
    const { writer, leases } = this.#options;
    const { version, fence } = reservation;
    const lease = reservation.lease === "owned" ? (this.#holders.get(reservation) ?? "") : "";
    const outcome = await writer.fill(place, { version, fence, lease }, entry, options);
    // A script that was refused has not ended the lease: those who wait would do so until it runs out.
    if (outcome === "failed") await this.release(place, reservation, "not-stored");
    else leases.letGo(place.name, lease);
    return outcome;
  }

  /** Gives the lease back without a value. */
  async release({ lane, name }: Place, reservation: Reservation<V>, outcome: "not-stored" | "failed"): Promise<void> {
    const holder = this.#holders.get(reservation);
    if (reservation.lease === "owned" && holder !== undefined) await this.#options.leases.release(lane, name, holder, outcome);
  }

  /** Waits for the process that has the lease. `undefined`: it went without a word, or its word came before we listened. */
  async awaitEnd({ lane, name }: Place, reservation: Reservation<V>, signal?: AbortSignalLike): Promise<LeaseOutcome | undefined> {
    const holder = this.#holders.get(reservation);
    if (reservation.lease !== "held" || holder === undefined) return "failed";
    return this.#options.leases.wait(lane, name, holder, signal);
  }

  async #toReservation({ lane, key, name }: Place, reply: unknown[], known: Version, call: BackendCall): Promise<Reservation<V>> {
    const { reader, writer, leases } = this.#options;
    const [epoch, seq, clearedAt, taggedAt, patterns, , fence, lease, holder] = reply.slice(0, 9).map(toText);
    const by = lane.versions.fromReply([epoch, seq, clearedAt, taggedAt, patterns], known);
    const bytes = reply[10];
    const entry =
      by && Buffer.isBuffer(bytes)
        ? await new Promise<StoreEntry<V> | undefined>((resolve) => reader.open(lane, key, bytes, by, writer.timeout(call), resolve))
        : undefined;
    const reservation: Reservation<V> = {
      key,
      version: { epoch: String(epoch), seq: Number(seq) },
      fence: String(fence),
      lease: lease === "owned" || lease === "held" ? lease : "none",
      entry,
    };
    this.#holders.set(reservation, String(holder));
    if (lease === "owned") leases.hold(lane, name, String(holder));
    return reservation;
  }
}
