import { CacheError, type Clock, checkDurationMs, checkOptions, KeySpace, type OptionNames, systemClock } from "@larder/cache-core";
import type { Mirror } from "./mirror.ts";
import { type RedisClient, toExpiryMs, withDeadline } from "./redis-client.ts";
import type { MirrorOutcome } from "./run-report.ts";
import type { Snapshot, SnapshotReason } from "./snapshot.ts";
import { decodeContent, type EncodedContent } from "./snapshot-codec.ts";
import type { CurrentHead } from "./snapshot-store.ts";

/**
 * The current version in Redis, as one hash: head and body are one key, written by one script and read by one command, so that no reader
 * can meet the head of one version and the body of another (seeds W4.4: separate SETs tore).
 *
 * Never backwards. Each script compares before it writes: (lineage, version) must be greater than what is there. So it does not matter
 * who comes last: an older run that was slow, one whose client gave up while the command was still on its way, or a process that hangs
 * between commit and mirror and wakes up an hour later. What survives none of this is a Redis that loses its data; then the next run
 * writes again, and readers have the store.
 *
 * A time to live, renewed by each run, ends what nobody refreshes (W4.5). A body that cannot be read is dropped by its reader, as long
 * as it is still the same version, so that the next run repairs it.
 */
export interface RedisMirrorOptions {
  /** An `ioredis` client, `Redis` or `Cluster`. It stays yours to close. */
  readonly client: RedisClient;
  /** What comes before every key. @default "larder" */
  readonly keyPrefix?: string;
  /** Milliseconds > 0 after the last run until the mirror forgets. @default 604800000 (7 days) */
  readonly ttlMs?: number;
  /** Milliseconds > 0 to wait for each answer. @default 2000 */
  readonly timeoutMs?: number;
  /** @default the machine's */
  readonly clock?: Clock;
}

const OPTIONS: OptionNames<RedisMirrorOptions> = { client: true, keyPrefix: true, ttlMs: true, timeoutMs: true, clock: true };

/**
 * Gives "older", "same" or "newer" by what is there, "older" for nothing; a foreign type is dropped. An older version that was confirmed more
 * than an hour later than the one that is there comes from a store that was restored from a backup, and counts on from it; unless a wrong
 * clock says so, which Redis's own tells.
 */
const COMPARE = `
local function larder_compare(key, lineage, version, checked)
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'hash' then
    if kind ~= 'none' then redis.call('DEL', key) end
    return 'older'
  end
  local held = redis.call('HMGET', key, 'lineage', 'version', 'checkedAt')
  if not held[1] or not tonumber(held[2]) then return 'older' end
  if held[1] ~= lineage then return held[1] < lineage and 'older' or 'newer' end
  local known, offered = tonumber(held[2]), tonumber(version)
  if known == offered then return 'same' end
  if known < offered then return 'older' end
  local now = redis.call('TIME')[1] * 1000
  local isRestored = checked and tonumber(checked) > (tonumber(held[3]) or 0) + 3600000 and tonumber(checked) < now + 300000
  return isRestored and 'older' or 'newer'
end
`;

/** KEYS hash; ARGV lineage, version, checkedAt, ttl. Renews the same version; an instant more than an hour ahead is a wrong clock's and gives way. */
const TOUCH = `${COMPARE}
local order = larder_compare(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if order == 'same' then
  local checked = tonumber(redis.call('HGET', KEYS[1], 'checkedAt') or '0')
  local offered = tonumber(ARGV[3])
  if checked < offered or checked > offered + 3600000 then redis.call('HSET', KEYS[1], 'checkedAt', ARGV[3]) end
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return order
`;

/** KEYS hash; ARGV lineage, version, ttl, checkedAt, then fields and values. Writes a newer version whole. */
const WRITE = `${COMPARE}
local order = larder_compare(KEYS[1], ARGV[1], ARGV[2], ARGV[4])
if order ~= 'older' then return order end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'lineage', ARGV[1], 'version', ARGV[2], 'checkedAt', ARGV[4], unpack(ARGV, 5))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 'written'
`;

/** KEYS hash; ARGV lineage, version. Drops a version that cannot be read, and no other. */
const DROP = `${COMPARE}
if larder_compare(KEYS[1], ARGV[1], ARGV[2]) == 'same' then return redis.call('DEL', KEYS[1]) end
return 0
`;

const HEAD_FIELDS = ["lineage", "version", "createdAt", "digest", "reason", "modelCount", "checkedAt"] as const;

function toOutcome(order: unknown): MirrorOutcome {
  if (order === "written") return "written";
  return order === "same" ? "current" : "refused";
}

function toHead(values: readonly (Buffer | null)[]): CurrentHead | undefined {
  const [lineage, version, createdAt, digest, reason, modelCount, checkedAt] = values.map((value) => value?.toString("utf8") ?? "");
  const head = { version: Number(version), createdAt: Number(createdAt), modelCount: Number(modelCount), checkedAt: Number(checkedAt) };
  if (!lineage || !digest || !Number.isSafeInteger(head.version) || head.version < 1) return undefined;
  return { ...head, lineage, digest, reason: reason as SnapshotReason };
}

class RedisMirror implements Mirror {
  readonly name = "redis";
  readonly #client: RedisClient;
  readonly #key: string;
  readonly #ttlMs: number;
  readonly #timeoutMs: number;
  readonly #clock: Clock;

  constructor(options: RedisMirrorOptions) {
    const { client, keyPrefix = "larder", clock = systemClock } = options;
    this.#client = client;
    this.#key = `${new KeySpace({ namespace: "catalog", keyPrefix }).base(0)}mirror`;
    this.#ttlMs = toExpiryMs(checkDurationMs("ttlMs", options.ttlMs ?? 604_800_000));
    this.#timeoutMs = checkDurationMs("timeoutMs", options.timeoutMs ?? 2000);
    this.#clock = clock;
  }

  async write(head: CurrentHead, content: () => Promise<EncodedContent>): Promise<MirrorOutcome> {
    try {
      // A run that changed nothing renews by a few bytes instead of sending the body again.
      const order = await this.#eval(TOUCH, head.lineage, head.version, head.checkedAt, this.#ttlMs);
      if (order !== "older") return toOutcome(order);
      const { body, digest } = await content();
      const { createdAt, reason, modelCount, checkedAt } = head;
      const fields = { createdAt, digest, reason, modelCount, body: Buffer.from(body) };
      const { lineage, version } = head;
      return toOutcome(await this.#eval(WRITE, lineage, version, this.#ttlMs, checkedAt, ...Object.entries(fields).flat()));
    } catch {
      return "failed";
    }
  }

  async head(): Promise<CurrentHead | undefined> {
    return toHead(await this.#read(HEAD_FIELDS));
  }

  async latest(): Promise<(Snapshot & CurrentHead) | undefined> {
    const values = await this.#read([...HEAD_FIELDS, "body"]);
    const head = toHead(values);
    const body = values[HEAD_FIELDS.length];
    if (!head || !body) return undefined;
    try {
      return { ...head, content: await decodeContent({ body, digest: head.digest }) };
    } catch (error) {
      await this.#eval(DROP, head.lineage, head.version).catch(() => {});
      throw error;
    }
  }

  async close(): Promise<void> {
    // The client is the caller's.
  }

  #read(fields: readonly string[]): Promise<Array<Buffer | null>> {
    return withDeadline(this.#client.hmgetBuffer(this.#key, ...fields), this.#timeoutMs, this.#clock);
  }

  #eval(script: string, ...parameters: Array<string | number | Buffer>): Promise<unknown> {
    return withDeadline(this.#client.eval(script, 1, this.#key, ...parameters), this.#timeoutMs, this.#clock);
  }
}

/** @throws {CacheError} ERR_CACHE_INVALID_OPTION when an option is out of range */
export function createRedisMirror(options: RedisMirrorOptions): Mirror {
  checkOptions(options, OPTIONS);
  if (!options.client) throw new CacheError("ERR_CACHE_INVALID_OPTION", "client must be an ioredis client, got none");
  return new RedisMirror(options);
}
