import type { RequestTrace } from "../telemetry/telemetry.ts";

/**
 * One request and its answer, as the endpoints see them: the same over `node:http` and over the Fetch API. Nothing of it parses or
 * copies before it is asked to.
 */
export interface Exchange {
  /** What watches this request; absent where telemetry is off. */
  readonly trace?: RequestTrace;
  readonly method: string;
  /** The path as it came, without the query. */
  readonly path: string;
  /** The query with its question mark; empty when there is none. */
  readonly search: string;
  /** Unique per request; told in the answer. */
  readonly requestId: string;
  /** The address at the other end of the connection; `undefined` where there is no connection of ours. */
  readonly peerAddress: string | undefined;
  /** A request header by its lower-case name; several of one name are joined by commas. */
  header(name: string): string | undefined;
  /** All request headers by lower-case name. */
  headers(): Readonly<Record<string, string | undefined>>;
  /** The whole body. @throws {HttpError} 413 when larger than `maxBytes`, 415 when encoded, 408 when it comes too slowly, 400 when it breaks off */
  readBody(maxBytes: number): Promise<Buffer>;
  /** The body as it comes, for what is passed on unread; `undefined` when there is none. */
  bodyStream(): AsyncIterable<Uint8Array> | undefined;
  /** Calls back once when the caller leaves before the answer's end; never for an answer that was broken off here. */
  onAbandoned(callback: () => void): void;
  /** Whether the answer's head has been sent. */
  readonly hasBegun: boolean;
  /** Sends the status and headers: a flat list of names and values. */
  begin(status: number, headers: readonly string[]): void;
  /** Sends the head by itself when nothing of the body follows at once: clients have one patience for the head, and another for the rest. */
  flushHead(): void;
  /** Sends a piece of the body. @returns false when the caller reads slower than we write */
  write(piece: Buffer | string): boolean;
  /** Resolves when the caller has read enough for more to be written, and at once when it has left. */
  drained(): Promise<void>;
  /** Ends the answer. */
  end(piece?: Buffer | string): void;
  /**
   * Takes a failure that the caller is told otherwise than by an answer of ours; absent where every failure is answered. @param told what the
   * answer would tell of the cache, as a flat list @returns whether it was taken
   */
  raise?(failure: Error, told: readonly string[]): boolean;
  /** Breaks the connection off, so that a cut answer cannot be taken for a whole one. */
  destroy(): void;
}

let counter = 0;
const processPrefix = crypto.randomUUID().replaceAll("-", "").slice(0, 20);

/** A request id: unique over processes by 80 random bits, and cheap. */
export function nextRequestId(): string {
  counter += 1;
  return `req_${processPrefix}${counter.toString(36).padStart(6, "0")}`;
}
