import type { AbortSignalLike } from "@larder/cache-core";

/** A call to a provider. */
export interface UpstreamCall {
  readonly method: string;
  readonly url: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer | AsyncIterable<Uint8Array>;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal?: AbortSignalLike;
  /** Milliseconds > 0 to the answer's head, and between pieces of its body. */
  readonly timeoutMs: number;
  /** Asked before another attempt: whether the provider is still what it was for this one. @default it is */
  readonly mayRetry?: () => Promise<boolean>;
  /** Told of an attempt that failed, by its status, before the next one. */
  readonly onRetry?: (status: number) => void;
}

/** A provider's answer; its body has not been read yet. */
export interface UpstreamAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The whole body. @throws when it breaks off or is larger than `maxBytes` */
  bytes(maxBytes: number): Promise<Buffer>;
  /** The body as it comes. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Reads the body away, so that the connection can be used again. */
  discard(): void;
}

/** Speaks to providers: through undici, through a given `fetch`, or to the sandbox in this process. */
export interface Upstream {
  call(call: UpstreamCall): Promise<UpstreamAnswer>;
  close(): Promise<void>;
}

/** A header of an answer as one string. */
export function headerOf(headers: UpstreamAnswer["headers"], name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}

/** An answer's media type, in lower case and without parameters; `undefined` where it is not told. */
export function mediaTypeOf(headers: UpstreamAnswer["headers"]): string | undefined {
  const told = headerOf(headers, "content-type");
  // Most answers tell nothing else, and are asked for it in the middle of a miss.
  return told === "application/json" || told === "text/event-stream" ? told : told?.split(";", 1)[0]?.trim().toLowerCase();
}

/** What small servers send that do not say what they send: no official client looks at it. */
const TELLS_NOTHING: ReadonlySet<string | undefined> = new Set([undefined, "text/plain", "application/octet-stream"]);

/** Whether an answer leaves it to its request what it is. */
export function isUntyped({ headers }: Pick<UpstreamAnswer, "headers">): boolean {
  return TELLS_NOTHING.has(mediaTypeOf(headers));
}

/** Collects a body up to a bound. @throws {RangeError} beyond it */
export async function collect(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxBytes) throw new RangeError(`the upstream's answer is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? Buffer.from(chunks[0]!.buffer, chunks[0]!.byteOffset, length) : Buffer.concat(chunks, length);
}
