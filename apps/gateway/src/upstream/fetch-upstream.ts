import { toAbortSignal } from "./to-abort-signal.ts";
import { collect, type Upstream, type UpstreamAnswer, type UpstreamCall } from "./upstream.ts";

/** Calls providers through a given `fetch`: what `createCachedFetch` puts the cache in front of. */
export class FetchUpstream implements Upstream {
  readonly #fetch: typeof fetch;
  readonly #extrasOf: () => RequestInit | undefined;

  /** @param extrasOf what the caller's own call says beside what a request is made of, such as undici's `dispatcher` */
  constructor(fetchImplementation: typeof fetch, extrasOf: () => RequestInit | undefined = () => undefined) {
    this.#fetch = fetchImplementation;
    this.#extrasOf = extrasOf;
  }

  async call(call: UpstreamCall): Promise<UpstreamAnswer> {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(new DOMException("The upstream took too long.", "TimeoutError")), call.timeoutMs);
    timer.unref();
    const signal = call.signal ? AbortSignal.any([toAbortSignal(call.signal), timeout.signal]) : timeout.signal;
    // A fetch settles the encoding by itself, decodes, and leaves the headers as they were.
    const { "accept-encoding": _, ...headers } = call.headers;
    const init: RequestInit = { ...this.#extrasOf(), method: call.method, headers, signal };
    // As text, which clients send as well: undici cannot send bytes a second time, to where a redirect leads. What has a key is UTF-8.
    if (Buffer.isBuffer(call.body)) init.body = call.body.toString("utf8");
    else if (call.body !== undefined) Object.assign(init, { body: call.body, duplex: "half" });
    try {
      const response = await this.#fetch(call.url, init);
      const body = (response.body ?? []) as unknown as AsyncIterable<Uint8Array>;
      return {
        status: response.status,
        headers: headersOf(response),
        body,
        bytes: (maxBytes) => collect(body, maxBytes),
        discard: () => void response.body?.cancel().catch(() => undefined),
      };
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {}
}

function headersOf(response: Response): UpstreamAnswer["headers"] {
  const headers = Object.fromEntries(response.headers);
  if (headers["content-encoding"] !== undefined) {
    delete headers["content-encoding"];
    delete headers["content-length"];
  }
  return headers;
}
