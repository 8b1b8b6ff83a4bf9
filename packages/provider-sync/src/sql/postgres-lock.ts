import { CacheError, type Clock } from "@larder/cache-core";
import type postgres from "postgres";
import { withPatience } from "../with-patience.ts";

/**
 * One runner among all processes on a PostgreSQL, by an advisory lock of a session. PostgreSQL frees it when the session ends, so that a
 * runner that dies holds nobody up. One that lives and does nothing, as a suspended machine does, would hold it for ever: the session says
 * a word every third of the time to live, and whoever finds the lock taken by a session that has been silent for longer ends that session.
 * The commit tells two runs apart, so that all this costs at its worst are requests.
 *
 * The session is a client of one connection of its own. A connection reserved from a pool is not safe to ask anything once it has closed:
 * postgres 3.4 then writes to a socket that is gone and throws where nobody can catch it. A client of its own connects anew instead, and
 * the number of the server's process tells that the session, and so the lock, is another one.
 */
export interface SessionLockOptions {
  /** Milliseconds to wait for each answer. */
  readonly timeoutMs: number;
  /** Milliseconds of silence after which a holder's session is ended. */
  readonly ttlMs: number;
  readonly clock: Clock;
}

const TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS locked, pg_backend_pid() AS session";
const UNLOCK = "SELECT pg_advisory_unlock(hashtextextended($1, 0)) AS unlocked";
const SPEAK = "SELECT pg_backend_pid() AS session";
/** A key of 64 bits lies in two columns. A session of another role can be neither seen nor ended: then the lock is simply held. */
const END_SILENT_HOLDER = `SELECT pg_terminate_backend(held.pid) AS ended FROM pg_locks held JOIN pg_stat_activity holder ON holder.pid = held.pid
  WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1
    AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (held.classid::bigint << 32) | held.objid::bigint = hashtextextended($1, 0)
    AND holder.state_change < clock_timestamp() - make_interval(secs => $2::float8 / 1000)`;

/** How often the lock is tried while an ended session goes, and the milliseconds between. */
const TAKE_OVER_TRIES = 20;
const TAKE_OVER_PAUSE_MS = 50;

class SessionLock {
  readonly #client: postgres.Sql;
  readonly #key: string;
  readonly #options: SessionLockOptions;
  #session: unknown;

  constructor(client: postgres.Sql, key: string, options: SessionLockOptions) {
    this.#client = client;
    this.#key = key;
    this.#options = options;
  }

  async take(): Promise<boolean> {
    if (await this.#try()) return true;
    const [ended] = await this.#ask(END_SILENT_HOLDER, [this.#key, this.#options.ttlMs]).catch(() => []);
    if (ended?.ended !== true) return false;
    for (let tries = 0; tries < TAKE_OVER_TRIES; tries += 1) {
      if (await this.#try()) return true;
      await new Promise<void>((resolve) => this.#options.clock.setTimer(resolve, TAKE_OVER_PAUSE_MS));
    }
    return false;
  }

  /** Shows that the holder lives, until it is stopped; `signal` is aborted when the session is gone or does not answer. */
  keepSpeaking(): { readonly signal: AbortSignal; stop(): void } {
    const { clock, ttlMs } = this.#options;
    const lost = new AbortController();
    const lose = (): void => lost.abort(new CacheError("ERR_CACHE_ABORTED", "the sync lock was lost"));
    let isOver = false;
    let cancelTimer = (): void => {};
    const speak = (): void => {
      this.#ask(SPEAK, []).then((rows) => (rows[0]?.session === this.#session ? schedule() : lose()), lose);
    };
    const schedule = (): void => {
      if (!isOver) cancelTimer = clock.setTimer(speak, ttlMs / 3);
    };
    schedule();
    const stop = (): void => {
      isOver = true;
      cancelTimer();
    };
    return { signal: lost.signal, stop };
  }

  /** Ending the session frees the lock as well; asking first does it without the second that a farewell may take. */
  async free(): Promise<void> {
    await this.#ask(UNLOCK, [this.#key]).catch(() => {});
  }

  async #try(): Promise<boolean> {
    const [row] = await this.#ask(TRY_LOCK, [this.#key]);
    this.#session = row?.session;
    return row?.locked === true;
  }

  #ask(statement: string, parameters: Array<string | number>): Promise<ReadonlyArray<Readonly<Record<string, unknown>>>> {
    const answer = this.#client.unsafe(statement, parameters).then((rows) => [...rows]);
    return withPatience("the catalog's database", answer, this.#options.timeoutMs, this.#options.clock);
  }
}

/** Runs `work` while a session of its own holds the key, or answers `"held"`. Ends `client`, which must have one connection and no other use. */
export async function withSessionLock<T>(
  client: postgres.Sql,
  key: string,
  work: (signal: AbortSignal) => Promise<T>,
  options: SessionLockOptions,
): Promise<T | "held"> {
  const lock = new SessionLock(client, key, options);
  try {
    if (!(await lock.take())) return "held";
    const { signal, stop } = lock.keepSpeaking();
    try {
      return await work(signal);
    } finally {
      stop();
      await lock.free();
    }
  } finally {
    // What is gone without a word is not waited for.
    client.end({ timeout: 1 }).catch(() => {});
  }
}
