import { Agent, type Dispatcher } from "undici";
import type { AddressGuard } from "../security/address-guard.ts";
import { DispatchedAnswer } from "./dispatched-answer.ts";
import type { Upstream, UpstreamAnswer, UpstreamCall } from "./upstream.ts";

/** How connections to providers are made. */
export interface PooledUpstreamOptions {
  /** Connections per origin, integer >= 1. */
  readonly connections: number;
  /** Looks at every address before it is connected to. @default any address may be used: the operator's own configuration */
  readonly guard?: AddressGuard;
}

/** Origins with an open pool at most: admin-saved providers come and go. */
const MAX_ORIGINS = 256;
/** Milliseconds to connect. */
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Calls providers through undici's pools, measured at more than five times the rate of `fetch` (docs/decisions). It follows no
 * redirect: a redirect would carry the credential to an origin that nobody configured.
 */
export class PooledUpstream implements Upstream {
  readonly #options: PooledUpstreamOptions;
  readonly #agents = new Map<string, Agent>();

  constructor(options: PooledUpstreamOptions) {
    this.#options = options;
  }

  call(call: UpstreamCall): Promise<UpstreamAnswer> {
    const url = new URL(call.url);
    const problem = this.#options.guard?.literalProblem(url.hostname, portOf(url));
    if (problem) {
      return Promise.reject(Object.assign(new Error(`the provider's base URL ${problem}`), { code: "ERR_ADDRESS_REFUSED" }));
    }
    return new Promise((resolve, reject) => {
      if (call.signal?.aborted) return reject(call.signal.reason);
      this.#agentFor(url).dispatch(
        {
          origin: url.origin,
          path: url.pathname + url.search,
          method: call.method as Dispatcher.HttpMethod,
          headers: call.headers as Record<string, string>,
          body: (call.body ?? null) as Buffer | null,
          headersTimeout: call.timeoutMs,
          bodyTimeout: call.timeoutMs,
        },
        new DispatchedAnswer(call.signal, resolve, reject),
      );
    });
  }

  #agentFor(url: URL): Agent {
    const known = this.#agents.get(url.origin);
    if (known) return known;
    const { connections, guard } = this.#options;
    const lookup = guard?.lookupFor(portOf(url));
    const agent = new Agent({
      connections,
      pipelining: 1,
      keepAliveTimeout: 30_000,
      connect: { timeout: CONNECT_TIMEOUT_MS, ...(lookup ? { lookup } : {}) },
    });
    this.#agents.set(url.origin, agent);
    const oldest = this.#agents.size > MAX_ORIGINS ? this.#agents.entries().next().value : undefined;
    if (oldest) {
      this.#agents.delete(oldest[0]);
      void oldest[1].close();
    }
    return agent;
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#agents.values()].map((agent) => agent.destroy()));
    this.#agents.clear();
  }
}

function portOf(url: URL): number {
  return Number(url.port) || (url.protocol === "https:" ? 443 : 80);
}
