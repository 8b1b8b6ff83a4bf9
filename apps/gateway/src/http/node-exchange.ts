import type { IncomingMessage, ServerResponse } from "node:http";
import { endEarly } from "./end-early.ts";
import { type Exchange, nextRequestId } from "./exchange.ts";
import { bodyBrokeOff, HttpError, isEncoded, unsupportedEncoding } from "./http-error.ts";

/** Milliseconds in which a body must have come whole, whatever its size: a slow sender must not hold memory for minutes. */
const BODY_TIMEOUT_MS = 30_000;

const NOTHING = Buffer.alloc(0);

/** An exchange over `node:http`. */
export class NodeExchange implements Exchange {
  readonly method: string;
  readonly path: string;
  readonly search: string;
  readonly requestId: string = nextRequestId();
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #bodyTimeoutMs: number;
  #hasWritten = false;
  #isEarly = false;
  #isBrokenOff = false;

  constructor(request: IncomingMessage, response: ServerResponse, bodyTimeoutMs: number = BODY_TIMEOUT_MS) {
    this.#request = request;
    this.#response = response;
    this.#bodyTimeoutMs = bodyTimeoutMs;
    this.method = request.method ?? "GET";
    const url = request.url ?? "/";
    const query = url.indexOf("?");
    this.path = query < 0 ? url : url.slice(0, query);
    this.search = query < 0 ? "" : url.slice(query);
  }

  get peerAddress(): string | undefined {
    return this.#request.socket.remoteAddress;
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name];
    return typeof value === "object" ? value.join(", ") : value;
  }

  headers(): Readonly<Record<string, string | undefined>> {
    return this.#request.headers as Record<string, string | undefined>;
  }

  readBody(maxBytes: number): Promise<Buffer> {
    const request = this.#request;
    if (isEncoded(request.headers["content-encoding"])) return Promise.reject(unsupportedEncoding());
    if (Number(request.headers["content-length"] ?? 0) > maxBytes) return Promise.reject(tooLarge(maxBytes));
    // The caller has left while it was made out who it is: of its body nothing comes any more, not even an end.
    if (request.destroyed) return Promise.reject(bodyBrokeOff());
    return new Promise((resolve, reject) => {
      let first: Buffer | undefined;
      let rest: Buffer[] | undefined;
      let length = 0;
      let timer: NodeJS.Timeout | undefined;
      const fail = (error: HttpError): void => {
        clearTimeout(timer);
        request.removeAllListeners("data");
        request.resume();
        reject(error);
      };
      const tooSlow = (): void => fail(new HttpError(408, "The request body came too slowly.", { code: "request_timeout" }));
      // Most bodies come with their head, and a timer costs a hit more than its answer's head: what has come is parsed by then, and only a body that is not whole is timed.
      process.nextTick(() => {
        if (!request.complete && !request.destroyed) timer = setTimeout(tooSlow, this.#bodyTimeoutMs);
      });
      request.on("data", (chunk: Buffer) => {
        length += chunk.length;
        if (length > maxBytes) return fail(tooLarge(maxBytes));
        if (!first) first = chunk;
        else if (rest) rest.push(chunk);
        else rest = [first, chunk];
      });
      request.on("end", () => {
        clearTimeout(timer);
        resolve(rest ? Buffer.concat(rest, length) : (first ?? Buffer.alloc(0)));
      });
      request.on("error", () => fail(bodyBrokeOff()));
    });
  }

  bodyStream(): AsyncIterable<Uint8Array> | undefined {
    const { headers } = this.#request;
    return headers["content-length"] === undefined && headers["transfer-encoding"] === undefined ? undefined : this.#request;
  }

  onAbandoned(callback: () => void): void {
    const response = this.#response;
    if (response.closed && !response.writableFinished) {
      callback();
      return;
    }
    response.once("close", () => {
      if (!response.writableFinished && !this.#isBrokenOff) callback();
    });
  }

  get hasBegun(): boolean {
    return this.#response.headersSent;
  }

  begin(status: number, headers: readonly string[]): void {
    // An early answer to a body that was not read whole: the connection cannot be used again.
    if (!this.#request.complete && status >= 400) {
      this.#response.shouldKeepAlive = false;
      // Whoever sends slowly has little on its way, and is given no more time.
      this.#isEarly = status !== 408;
    }
    const vary = this.#response.getHeader("vary");
    this.#response.writeHead(status, vary === undefined ? (headers as string[]) : joinVary(headers, String(vary)));
  }

  flushHead(): void {
    // A turn later: what comes with the provider's head goes out with ours.
    setImmediate(() => {
      if (this.#hasWritten || this.#response.writableEnded || this.#response.destroyed) return;
      // By itself, `flushHeaders` writes a head in UTF-8, and whatever else sends one in Latin-1, as it was read: a file's name would become another.
      if (this.method === "HEAD") this.#response.flushHeaders();
      else this.#response.write(NOTHING);
    });
  }

  write(piece: Buffer | string): boolean {
    this.#hasWritten = true;
    return this.#response.write(piece);
  }

  drained(): Promise<void> {
    // Of one that has left no event comes any more, and there is always room for what goes nowhere.
    if (this.#response.closed) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#response.off("drain", done).off("close", done);
        resolve();
      };
      this.#response.on("drain", done).on("close", done);
    });
  }

  end(piece?: Buffer | string): void {
    if (this.#isEarly) endEarly(this.#request, this.#response, piece);
    else this.#response.end(piece);
  }

  destroy(): void {
    this.#isBrokenOff = true;
    this.#response.destroy();
  }
}

/** What a provider's answer varies by is told beside what ours does: a head that names it would take the place of what was set before. */
function joinVary(headers: readonly string[], vary: string): string[] {
  return headers.map((text, index) => (index % 2 === 1 && headers[index - 1] === "vary" ? `${vary}, ${text}` : text));
}

function tooLarge(maxBytes: number): HttpError {
  return new HttpError(413, `The request body is larger than ${maxBytes} bytes.`, { code: "request_too_large" });
}
