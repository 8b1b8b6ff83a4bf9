import { Agent, type Dispatcher } from "undici";
import type { AddressGuard } from "../security/address-guard.ts";
import { DispatchedAnswer, noConnection } from "./dispatched-answer.ts";
import type { Upstream, UpstreamAnswer, UpstreamCall } from "./upstream.ts";
import { WaitingRoom, type WaitingRoomOptions } from "./waiting-room.ts";

/** How connections to providers are made. */
export interface PooledUpstreamOptions {
  /** Connections per origin, integer >= 1. */
  readonly connections: number;
  /** Looks at every address before it is connected to. @default any address may be used: the operator's own configuration */
  readonly guard?: AddressGuard;
  /** How calls wait while all connections to their origin are in use. @default half a minute, ten thousand calls */
  readonly waiting?: WaitingRoomOptions;
}

/** Where a call goes. */
interface Destination {
  readonly origin: string;
  readonly hostname: string;
  readonly port: number;
  /** With the query. */
  readonly path: string;
}

/**
 * Connections to one origin, and who waits for one. Each has a room of its own: one that stands still would otherwise fill the room of all, and the others,
 * those that answer in its place among them, would be refused though their connections are free.
 */
interface Pool {
  readonly agent: Agent;
  readonly room: WaitingRoom;
}

/** Origins with an open pool at most: admin-saved providers come and go. */
const MAX_ORIGINS = 256;
/** URLs that are kept taken apart. */
const MAX_URLS = 256;
/** Milliseconds to connect. */
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Calls providers through undici's pools, measured at more than five times the rate of `fetch` (docs/decisions). It follows no
 * redirect: a redirect would carry the credential to an origin that nobody configured.
 */
export class PooledUpstream implements Upstream {
  readonly #options: PooledUpstreamOptions;
  readonly #pools = new Map<string, Pool>();
  /** URLs as they were taken apart: there are few, and each call has one. */
  readonly #urls = new Map<string, Destination>();

  constructor(options: PooledUpstreamOptions) {
    this.#options = options;
  }

  call(call: UpstreamCall): Promise<UpstreamAnswer> {
    const to = this.#urls.get(call.url) ?? this.#readUrl(call.url);
    const problem = this.#options.guard?.literalProblem(to.hostname, to.port);
    if (problem) {
      return Promise.reject(Object.assign(new Error(`the provider's base URL ${problem}`), { code: "ERR_ADDRESS_REFUSED" }));
    }
    return new Promise((resolve, reject) => {
      if (call.signal?.aborted) return reject(call.signal.reason);
      const { agent, room } = this.#poolFor(to);
      if (room.isFull) return reject(noConnection());
      const answer = new DispatchedAnswer(call.signal, resolve, reject);
      agent.dispatch(
        {
          origin: to.origin,
          path: to.path,
          method: call.method as Dispatcher.HttpMethod,
          headers: call.headers as Record<string, string>,
          body: (call.body ?? null) as Buffer | null,
          headersTimeout: call.timeoutMs,
          bodyTimeout: call.timeoutMs,
        },
        answer,
      );
      answer.waitIn(room);
    });
  }

  #readUrl(text: string): Destination {
    const url = new URL(text);
    const { origin, hostname } = url;
    const to = { origin, hostname, port: portOf(url), path: url.pathname + url.search };
    if (this.#urls.size >= MAX_URLS) this.#urls.clear();
    this.#urls.set(text, to);
    return to;
  }

  #poolFor({ origin, port }: Destination): Pool {
    const known = this.#pools.get(origin);
    if (known) return known;
    const { connections, guard, waiting } = this.#options;
    const lookup = guard?.lookupFor(port);
    const agent = new Agent({
      connections,
      pipelining: 1,
      keepAliveTimeout: 30_000,
      connect: { timeout: CONNECT_TIMEOUT_MS, ...(lookup ? { lookup } : {}) },
    });
    const pool: Pool = { agent, room: new WaitingRoom(waiting) };
    this.#pools.set(origin, pool);
    const oldest = this.#pools.size > MAX_ORIGINS ? this.#pools.entries().next().value : undefined;
    if (oldest) {
      this.#pools.delete(oldest[0]);
      // Who waits there goes on waiting, and is still given up in time.
      void oldest[1].agent.close().finally(() => oldest[1].room.close());
    }
    return pool;
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    for (const { room } of pools) room.close();
    await Promise.allSettled(pools.map(({ agent }) => agent.destroy()));
    this.#pools.clear();
  }
}

function portOf(url: URL): number {
  return Number(url.port) || (url.protocol === "https:" ? 443 : 80);
}
