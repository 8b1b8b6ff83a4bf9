import { checkOptions, KeySpace } from "@larder/cache-core";
import type { BreakerState } from "./breaker.ts";
import { CallDesk } from "./call-desk.ts";
import { EntryCensus } from "./entry-census.ts";
import { EntryReader } from "./entry-reader.ts";
import { EntryWriter } from "./entry-writer.ts";
import { KeySurvey } from "./key-survey.ts";
import { LaneVigil } from "./lane-vigil.ts";
import { Lanes } from "./lanes.ts";
import { Leases } from "./leases.ts";
import { REDIS_CACHE_OPTIONS, type RedisCacheOptions, type RedisCacheSettings, toSettings } from "./options.ts";
import { OwnWrites } from "./own-writes.ts";
import { planPort } from "./plan-port.ts";
import type { RedisPort } from "./redis-port.ts";
import { RedisCounters } from "./redis-stats.ts";
import { Reservations } from "./reservations.ts";
import { Sweeper } from "./sweeper.ts";
import { ValuePipeline } from "./value-pipeline.ts";
import { WakeListener } from "./wake-listener.ts";

/** What a `RedisCache` consists of. */
export interface RedisParts<V> {
  readonly settings: RedisCacheSettings<V>;
  readonly port: RedisPort;
  readonly desk: CallDesk;
  readonly lanes: Lanes;
  readonly counters: RedisCounters;
  readonly values: ValuePipeline<V>;
  /** For whoever reads the cache itself. */
  readonly reader: EntryReader<V>;
  /** For a tiered cache, which keeps what it reads. */
  readonly tierReader: EntryReader<V>;
  readonly writer: EntryWriter;
  readonly wakes: WakeListener;
  readonly leases: Leases;
  readonly reservations: Reservations<V>;
  readonly census: EntryCensus<V>;
  readonly sweeper: Sweeper;
  readonly ownWrites: OwnWrites<V>;
}

/**
 * Puts a cache together. Nothing is told to it yet: whoever asked for the parts opens the port.
 * @param onState told of every change of a lane's breaker
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION naming the option that is out of range
 */
export function assembleParts<V>(options: RedisCacheOptions<V>, onState: (lane: number, state: BreakerState) => void): RedisParts<V> {
  checkOptions(options, REDIS_CACHE_OPTIONS);
  const { isCluster, open } = planPort(options);
  const settings = toSettings(options, isCluster);
  const { clock, random, namespace, keyPrefix, timeoutMs, writeTimeoutMs, maxLoadMs } = settings;
  const keySpace = new KeySpace(settings);
  // Nothing throws from here on: what is opened now is closed with the cache.
  const port = open();
  const counters = new RedisCounters(namespace, clock);
  const owner = `${keyPrefix}{${namespace}}`;
  const values = new ValuePipeline({ ...settings, owner, isKept: false });
  const desk = new CallDesk(settings);
  const lanes = new Lanes({ ...settings, port, desk, keySpace, onState });
  const wakes = new WakeListener(port, clock);
  const vigil = new LaneVigil({ clock, timeoutMs: writeTimeoutMs });
  const leases = new Leases({ clock, keySpace, wakes, vigil, timeoutMs: writeTimeoutMs, maxHoldMs: maxLoadMs });
  const reader = new EntryReader({ clock, keySpace, values, counters });
  const tierReader = new EntryReader({ clock, keySpace, values: new ValuePipeline({ ...settings, owner, isKept: true }), counters });
  const writer = new EntryWriter({ ...settings, keySpace, lanes: lanes.all, counters, timeoutMs: writeTimeoutMs });
  const survey = new KeySurvey({ port, desk, keySpace, lanes: lanes.all });
  const reservations = new Reservations({ random, reader: tierReader, writer, leases, maxLoadMs });
  const census = new EntryCensus({ survey, keySpace, lanes, reader });
  const sweeper = new Sweeper({ survey, clock, keySpace, onSwept: (count) => counters.sweep(count) });
  const ownWrites = new OwnWrites({ clock, reader, writer, timeoutMs, locate: (key) => lanes.locate(key) });
  return {
    settings,
    port,
    desk,
    lanes,
    counters,
    values,
    reader,
    tierReader,
    writer,
    wakes,
    leases,
    reservations,
    census,
    sweeper,
    ownWrites,
  };
}
