import { type Exchange, nextRequestId } from "./exchange.ts";
import { bodyBrokeOff, HttpError, isEncoded, unsupportedEncoding } from "./http-error.ts";

/** What takes the place of a failure's answer; `undefined`: nothing does. */
export type Instead = (failure: Error, told: readonly string[]) => Promise<Response> | undefined;

/** Statuses of answers that have no body: a `Response` is not made with one. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

/** An exchange over the Fetch API: `response` resolves as soon as the answer's head is known. */
export class FetchExchange implements Exchange {
  readonly method: string;
  readonly path: string;
  readonly search: string;
  readonly requestId: string = nextRequestId();
  readonly response: Promise<Response>;
  readonly #request: Request;
  readonly #instead: Instead;
  #resolve: (response: Response | Promise<Response>) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #stream: ReadableStreamDefaultController<Uint8Array> | undefined;
  #head: { status: number; headers: Headers } | undefined;
  #onAbandoned: Array<() => void> = [];
  #onPull: (() => void) | undefined;
  #isEnded = false;

  constructor(request: Request, path?: string, instead: Instead = () => undefined) {
    const url = new URL(request.url);
    this.#request = request;
    this.#instead = instead;
    this.method = request.method;
    this.path = path ?? url.pathname;
    this.search = url.search;
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    request.signal.addEventListener("abort", () => this.#abandon(), { once: true });
  }

  get peerAddress(): undefined {
    return undefined;
  }

  header(name: string): string | undefined {
    return this.#request.headers.get(name) ?? undefined;
  }

  headers(): Readonly<Record<string, string | undefined>> {
    return Object.fromEntries(this.#request.headers);
  }

  async readBody(maxBytes: number): Promise<Buffer> {
    if (isEncoded(this.header("content-encoding"))) throw unsupportedEncoding();
    // The application's mistake, which is to be seen as one.
    if (this.#request.bodyUsed) throw new TypeError("the request's body has been read already");
    const chunks: Uint8Array[] = [];
    let length = 0;
    try {
      for await (const chunk of this.bodyStream() ?? []) {
        length += chunk.length;
        if (length > maxBytes)
          throw new HttpError(413, `The request body is larger than ${maxBytes} bytes.`, { code: "request_too_large" });
        chunks.push(chunk);
      }
    } catch (error) {
      throw error instanceof HttpError ? error : bodyBrokeOff();
    }
    return Buffer.concat(chunks, length);
  }

  bodyStream(): AsyncIterable<Uint8Array> | undefined {
    return (this.#request.body as AsyncIterable<Uint8Array> | null) ?? undefined;
  }

  onAbandoned(callback: () => void): void {
    if (this.#request.signal.aborted) callback();
    else this.#onAbandoned.push(callback);
  }

  get hasBegun(): boolean {
    return this.#head !== undefined;
  }

  begin(status: number, headers: readonly string[]): void {
    const built = new Headers();
    for (let index = 0; index + 1 < headers.length; index += 2) built.append(headers[index] as string, headers[index + 1] as string);
    this.#head = { status, headers: built };
  }

  flushHead(): void {
    setImmediate(() => {
      if (!this.#isEnded && !this.#stream) this.#openStream();
    });
  }

  write(piece: Buffer | string): boolean {
    if (this.#isEnded) return true;
    if (!this.#stream) this.#openStream();
    this.#stream?.enqueue(typeof piece === "string" ? Buffer.from(piece) : piece);
    return (this.#stream?.desiredSize ?? 1) > 0;
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#onPull = resolve;
    });
  }

  end(piece?: Buffer | string): void {
    if (this.#isEnded) return;
    if (this.#stream) {
      if (piece !== undefined) this.write(piece);
      this.#stream.close();
    } else {
      const { status, headers } = this.#head ?? { status: 500, headers: new Headers() };
      // Servers leave the body of an answer to HEAD out by themselves; whoever calls a handler directly would read it.
      const isBodiless = BODILESS.has(status) || piece === undefined || this.method === "HEAD";
      headers.delete("transfer-encoding");
      this.#resolve(new Response(isBodiless ? null : (piece as string), { status, headers }));
    }
    this.#isEnded = true;
  }

  raise(failure: Error, told: readonly string[]): boolean {
    const instead = this.#isEnded ? undefined : this.#instead(failure, told);
    if (!instead) return false;
    this.#isEnded = true;
    // What has begun can only break off: whatever would stand in its place comes too late.
    if (this.#stream) instead.catch((error: unknown) => error).then((error) => this.#stream?.error(error));
    else this.#resolve(instead);
    return true;
  }

  destroy(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const error = new TypeError("the upstream broke the answer off");
    if (this.#stream) this.#stream.error(error);
    else this.#reject(error);
  }

  #openStream(): void {
    const { status, headers } = this.#head ?? { status: 200, headers: new Headers() };
    // Whatever is written then is told to nobody.
    if (BODILESS.has(status)) {
      this.end();
      return;
    }
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#stream = controller;
        },
        pull: () => this.#onPull?.(),
        cancel: () => {
          this.#stream = undefined;
          this.#abandon();
        },
      },
      { highWaterMark: 65_536, size: (chunk) => chunk?.byteLength ?? 0 },
    );
    this.#resolve(new Response(body, { status, headers }));
  }

  #abandon(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#onPull?.();
    for (const callback of this.#onAbandoned) callback();
    const reason = this.#request.signal.reason ?? new DOMException("The request was aborted.", "AbortError");
    // A promise that is settled already takes no notice.
    this.#reject(reason);
    this.#stream?.error(reason);
  }
}
