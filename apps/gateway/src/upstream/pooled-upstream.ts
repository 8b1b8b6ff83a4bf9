import { Agent, type Dispatcher } from "undici";
import type { AddressGuard } from "../security/address-guard.ts";
import { DispatchedAnswer, noConnection } from "./dispatched-answer.ts";
import type { Upstream, UpstreamAnswer, UpstreamCall } from "./upstream.ts";
import { WaitingRoom } from "./waiting-room.ts";

/** How connections to providers are made. */
export interface PooledUpstreamOptions {
  /** Connections per origin, integer >= 1. */
  readonly connections: number;
  /** Looks at every address before it is connected to. @default any address may be used: the operator's own configuration */
  readonly guard?: AddressGuard;
  /** Where calls wait while all connections are in use. @default half a minute, ten thousand calls */
  readonly room?: WaitingRoom;
}

/** Where a call goes. */
interface Destination {
  readonly origin: string;
  readonly hostname: string;
  readonly port: number;
  /** With the query. */
  readonly path: string;
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
  readonly #agents = new Map<string, Agent>();
  /** URLs as they were taken apart: there are few, and each call has one. */
  readonly #urls = new Map<string, Destination>();

  readonly #room: WaitingRoom;

  constructor(options: PooledUpstreamOptions) {
    this.#options = options;
    this.#room = options.room ?? new WaitingRoom();
  }

  call(call: UpstreamCall): Promise<UpstreamAnswer> {
    const to = this.#urls.get(call.url) ?? this.#readUrl(call.url);
    const problem = this.#options.guard?.literalProblem(to.hostname, to.port);
    if (problem) {
      return Promise.reject(Object.assign(new Error(`the provider's base URL ${problem}`), { code: "ERR_ADDRESS_REFUSED" }));
    }
    return new Promise((resolve, reject) => {
      if (call.signal?.aborted) return reject(call.signal.reason);
      if (this.#room.isFull) return reject(noConnection());
      const answer = new DispatchedAnswer(call.signal, resolve, reject);
      this.#agentFor(to).dispatch(
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
      answer.waitIn(this.#room);
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

  #agentFor({ origin, port }: Destination): Agent {
    const known = this.#agents.get(origin);
    if (known) return known;
    const { connections, guard } = this.#options;
    const lookup = guard?.lookupFor(port);
    const agent = new Agent({
      connections,
      pipelining: 1,
      keepAliveTimeout: 30_000,
      connect: { timeout: CONNECT_TIMEOUT_MS, ...(lookup ? { lookup } : {}) },
    });
    this.#agents.set(origin, agent);
    const oldest = this.#agents.size > MAX_ORIGINS ? this.#agents.entries().next().value : undefined;
    if (oldest) {
      this.#agents.delete(oldest[0]);
      void oldest[1].close();
    }
    return agent;
  }

  async close(): Promise<void> {
    this.#room.close();
    await Promise.allSettled([...this.#agents.values()].map((agent) => agent.destroy()));
    this.#agents.clear();
  }
}

function portOf(url: URL): number {
  return Number(url.port) || (url.protocol === "https:" ? 443 : 80);
}
