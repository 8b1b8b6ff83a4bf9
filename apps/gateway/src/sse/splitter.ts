/** Longest single event that is held until its end; a longer one, with several images in it, comes out in pieces, and its stream is passed on and not kept. */
const MAX_EVENT_BYTES = 16 * 1024 * 1024;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const BYTE_ORDER_MARK = "\ufeff";

/**
 * Cuts a server-sent event stream into events, whatever the chunks of the network were. An event comes out as its bytes with `\n` line
 * ends and the closing blank line. Works on bytes: an event's end is ASCII, so characters cut by a chunk border stay whole. One that is too long to be held
 * comes out in pieces, which together are its bytes.
 */
export class SseSplitter {
  /** The event that has begun and not ended. */
  #rest: Buffer | undefined;
  /** Where it stands once it has come in several chunks, with room to grow: each byte of a long event is copied a few times, not with every chunk. */
  #room: Buffer | undefined;
  #heldReturn = false;
  /** Whether the beginning of the event that has begun has come out already. */
  #isLong = false;

  /** Takes the next chunk and gives the events that it completes. */
  push(chunk: Uint8Array): Buffer[] {
    const bytes = this.#normalize(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    const events: Buffer[] = [];
    let start = this.#finishRest(bytes, events);
    if (start < 0) return events;
    for (;;) {
      const end = bytes.indexOf("\n\n", start);
      if (end < 0) break;
      if (end > start) events.push(bytes.subarray(start, end + 2));
      start = end + 2;
    }
    this.#rest = start < bytes.length ? bytes.subarray(start) : undefined;
    return events;
  }

  /** What came after the last blank line: an event that was never ended, which the standard says to drop. */
  get rest(): Buffer | undefined {
    return this.#rest;
  }

  /** Whether nothing of what has come waits for what follows: the next chunk begins an event. */
  get isBetweenEvents(): boolean {
    return this.#rest === undefined && !this.#heldReturn;
  }

  /** Looks for the end of the event that has begun. @returns where the next one begins; -1 when it has not ended */
  #finishRest(bytes: Buffer, events: Buffer[]): number {
    if (!this.#rest) return 0;
    const endsInBorder = this.#rest[this.#rest.length - 1] === LINE_FEED && bytes[0] === LINE_FEED;
    const end = endsInBorder ? 1 : bytes.indexOf("\n\n") + 2;
    const hasEnded = endsInBorder || end >= 2;
    const part = hasEnded ? bytes.subarray(0, end) : bytes;
    if (this.#rest.length + part.length > MAX_EVENT_BYTES) this.#rest = this.#handOut(this.#rest, events);
    const event = this.#append(part);
    if (!hasEnded) return -1;
    if (event.length > 2 || this.#isLong) events.push(event);
    this.#rest = undefined;
    this.#room = undefined;
    this.#isLong = false;
    return end;
  }

  /** @returns what stays: the last byte may be half of the event's end */
  #handOut(rest: Buffer, events: Buffer[]): Buffer {
    events.push(rest.subarray(0, -1));
    this.#room = undefined;
    this.#isLong = true;
    return Buffer.from(rest.subarray(-1));
  }

  #append(bytes: Buffer): Buffer {
    const rest = this.#rest as Buffer;
    const length = rest.length + bytes.length;
    if (!this.#room || this.#room.length < length) {
      const room = Buffer.allocUnsafe(this.#room ? Math.max(length, this.#room.length * 2) : length);
      rest.copy(room);
      this.#room = room;
    }
    bytes.copy(this.#room, rest.length);
    this.#rest = this.#room.subarray(0, length);
    return this.#rest;
  }

  /** `\r\n` and lone `\r` become `\n`. A `\r` at the end of a chunk waits for the next one: a `\n` may follow. */
  #normalize(bytes: Buffer): Buffer {
    if (!this.#heldReturn && bytes.indexOf(CARRIAGE_RETURN) < 0) return bytes;
    const out = Buffer.allocUnsafe(bytes.length + 1);
    let length = 0;
    for (const byte of bytes) {
      if (this.#heldReturn) {
        out[length++] = LINE_FEED;
        this.#heldReturn = false;
        if (byte === LINE_FEED) continue;
      }
      if (byte === CARRIAGE_RETURN) this.#heldReturn = true;
      else out[length++] = byte;
    }
    return out.subarray(0, length);
  }
}

/** An event's fields. */
export interface SseEvent {
  /** The `event:` field; empty when absent. */
  readonly name: string;
  /** The `data:` lines joined by line feeds; `undefined` when there is none, as in a keep-alive comment. */
  readonly data: string | undefined;
}

/** Reads one event as the splitter gives it. */
export function readSseEvent(bytes: Buffer): SseEvent {
  const text = bytes.toString("utf8");
  return readEvent(text, 0, text.length);
}

/** Reads the events of a stream from its beginning, as the splitter gives them. One byte order mark is no part of the first (HTML 9.2.6). */
export function* readSseEvents(text: string): Generator<SseEvent, void, undefined> {
  for (let from = text.startsWith(BYTE_ORDER_MARK) ? 1 : 0; from < text.length; ) {
    const blank = text.indexOf("\n\n", from);
    const to = blank < 0 ? text.length : blank;
    yield readEvent(text, from, to);
    from = to + 2;
  }
}

/** Line by line where they stand: a list of lines for each event of a stream would cost more than what is in them. */
function readEvent(text: string, from: number, to: number): SseEvent {
  let name = "";
  let data: string | undefined;
  for (let at = from; at < to; ) {
    const feed = text.indexOf("\n", at);
    const end = feed < 0 || feed > to ? to : feed;
    if (text.startsWith("data:", at)) {
      const value = text.slice(text.charCodeAt(at + 5) === 0x20 ? at + 6 : at + 5, end);
      data = data === undefined ? value : `${data}\n${value}`;
    } else if (text.startsWith("event:", at)) {
      name = text.slice(at + 6, end).trim();
    }
    at = end + 1;
  }
  return { name, data };
}
