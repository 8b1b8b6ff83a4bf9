import type { Exchange } from "../http/exchange.ts";
import type { RequestTrace } from "./telemetry.ts";

/**
 * An exchange that tells its trace when the answer begins and when it is over. Endpoints answer by it as by any other; without telemetry there
 * is none of these, so that an unwatched request pays nothing.
 */
export class TracedExchange implements Exchange {
  readonly method: string;
  readonly path: string;
  readonly search: string;
  readonly requestId: string;
  readonly trace: RequestTrace;
  readonly #inner: Exchange;

  constructor(inner: Exchange, trace: RequestTrace) {
    this.#inner = inner;
    this.trace = trace;
    this.method = inner.method;
    this.path = inner.path;
    this.search = inner.search;
    this.requestId = inner.requestId;
    inner.onAbandoned(() => trace.ended("abandoned"));
  }

  get peerAddress(): string | undefined {
    return this.#inner.peerAddress;
  }

  header(name: string): string | undefined {
    return this.#inner.header(name);
  }

  headers(): Readonly<Record<string, string | undefined>> {
    return this.#inner.headers();
  }

  readBody(maxBytes: number): Promise<Buffer> {
    return this.#inner.readBody(maxBytes);
  }

  bodyStream(): AsyncIterable<Uint8Array> | undefined {
    return this.#inner.bodyStream();
  }

  onAbandoned(callback: () => void): void {
    this.#inner.onAbandoned(callback);
  }

  get hasBegun(): boolean {
    return this.#inner.hasBegun;
  }

  begin(status: number, headers: readonly string[]): void {
    this.trace.begun(status, headers);
    this.#inner.begin(status, headers);
  }

  flushHead(): void {
    this.#inner.flushHead();
  }

  write(piece: Buffer | string): boolean {
    return this.#inner.write(piece);
  }

  drained(): Promise<void> {
    return this.#inner.drained();
  }

  end(piece?: Buffer | string): void {
    this.#inner.end(piece);
    this.trace.ended("complete");
  }

  destroy(): void {
    this.#inner.destroy();
    this.trace.ended("broken off");
  }
}
