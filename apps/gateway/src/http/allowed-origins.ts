import type { IncomingMessage, ServerResponse } from "node:http";

/** Any origin. */
export const ANY_ORIGIN = "*";

/** Seconds for which a browser need not ask again. */
const MAX_AGE_SECONDS = "7200";

/**
 * The origins whose pages may use the API (CORS). A page that calls it from a browser (`dangerouslyAllowBrowser`) asks first, without a
 * key: that question is answered here, and every answer to such a page says that it may be read. Other origins are told nothing, which is a refusal.
 * Keys travel in a header that the page sets, so no cookie is involved, and none is allowed.
 */
export class AllowedOrigins {
  readonly #isAny: boolean;
  readonly #origins: ReadonlySet<string>;

  /** @param origins such as `https://app.example.com`, or `*` for all */
  constructor(origins: readonly string[]) {
    this.#isAny = origins.includes(ANY_ORIGIN);
    this.#origins = new Set(origins.map((origin) => origin.toLowerCase()));
  }

  /** Whether no page of another origin may use the API. */
  get isEmpty(): boolean {
    return this.#origins.size === 0;
  }

  /** Whether pages of an origin may use it, by the `Origin` header. */
  allows(origin: string): boolean {
    return this.#isAny || this.#origins.has(origin.toLowerCase());
  }

  /** Puts what a browser looks for into the answer. @returns whether the request was the browser's question, which is answered by it */
  tell(request: IncomingMessage, response: ServerResponse): boolean {
    const { origin } = request.headers;
    if (this.isEmpty) return false;
    // Whatever stands between may keep answers: those to one origin are none to another.
    response.setHeader("vary", "origin");
    if (origin === undefined || !this.allows(origin)) return false;
    response.setHeader("access-control-allow-origin", origin);
    response.setHeader("access-control-expose-headers", ANY_ORIGIN);
    if (request.method !== "OPTIONS" || request.headers["access-control-request-method"] === undefined) return false;
    response.writeHead(204, {
      "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
      "access-control-allow-headers": request.headers["access-control-request-headers"] ?? "authorization, content-type",
      "access-control-max-age": MAX_AGE_SECONDS,
    });
    response.end();
    return true;
  }
}
