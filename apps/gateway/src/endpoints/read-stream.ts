import type { AnswerFamily, TokenUsage } from "../answers/family.ts";
import type { JsonObject } from "../answers/json.ts";
import { markLongNumbers, mayHaveLongNumbers, restoreLongNumbers } from "../answers/long-numbers.ts";
import type { AnswerLoad } from "../caching/answer-cache.ts";
import { type EventBatch, LiveStream } from "../caching/live-stream.ts";
import { mayTellError, scrubError } from "../security/scrub-error.ts";
import type { Secret } from "../security/secret.ts";
import { countWholeEvents } from "../sse/count-whole-events.ts";
import { readSseEvents, type SseEvent, SseSplitter } from "../sse/splitter.ts";
import type { CallTrace } from "../telemetry/telemetry.ts";
import type { UpstreamAnswer } from "../upstream/upstream.ts";
import { toUpstreamFailure, UpstreamFailure } from "../upstream/upstream-failure.ts";
import { UnkeptUsage } from "./unkept-usage.ts";

/** Bytes of a stream that are kept to put its answer together; a longer one is passed on and not stored. */
const MAX_ASSEMBLED_BYTES = 16 * 1024 * 1024;

/** A stream has come to its end, and is too long to be told as a whole answer: a failure to whoever waited for that, and no fault of the provider's. */
export class LongStream extends UpstreamFailure {
  constructor() {
    super(`The provider's stream is longer than ${MAX_ASSEMBLED_BYTES} bytes, and cannot be told as a whole.`, { status: 502 });
    this.name = "LongStream";
  }
}

/** An answer that has come whole, be it as a stream. */
export interface WholeAnswer {
  /** As it would have come without streaming. */
  readonly answer: JsonObject;
  /** The same, written down. */
  readonly body: Buffer;
}

/** A stream from a provider while it is read. */
export class StreamReading {
  /** Events that have come. */
  events = 0;
  /** Bytes of them. */
  bytes = 0;
  readonly #family: AnswerFamily;
  readonly #secrets: ReadonlyArray<Secret | undefined>;
  readonly #trace: CallTrace | undefined;
  readonly #labels: string;
  readonly #splitter = new SseSplitter();
  /** `undefined` when they are too many to be kept. */
  #kept: Buffer[] | undefined = [];
  /** Reads along with those that are too many. */
  #unkept: UnkeptUsage | undefined;

  /** @param secrets what is struck out of errors; @param labels those of the request, as the plan has them */
  constructor(family: AnswerFamily, secrets: ReadonlyArray<Secret | undefined>, trace: CallTrace | undefined, labels: string) {
    this.#family = family;
    this.#secrets = secrets;
    this.#trace = trace;
    this.#labels = labels;
  }

  /** Passes a stream on as it comes, and gives what it amounts to. @throws {LongStream} when it was passed on and not kept @throws {UpstreamFailure} */
  async read(answer: UpstreamAnswer, load: AnswerLoad): Promise<WholeAnswer> {
    const live = new LiveStream(this.#labels);
    load.startLive(live);
    try {
      for await (const chunk of answer.body) {
        const batch = this.#take(chunk);
        if (!batch) continue;
        this.#trace?.firstChunk();
        const room = live.push(batch);
        if (room) await room;
      }
    } catch (error) {
      const failure = toUpstreamFailure(error);
      live.fail(failure);
      throw failure;
    }
    const { rest } = this.#splitter;
    // Some providers leave out the blank line after the last event.
    if (rest) void live.push(this.#record([Buffer.concat([rest, Buffer.from("\n\n")])]));
    live.end();
    return this.#assemble();
  }

  /** Takes the next bytes. @returns the events that they complete; `undefined` when there is none */
  #take(chunk: Uint8Array): EventBatch | undefined {
    const whole = this.#splitter.isBetweenEvents
      ? this.#takeWhole(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
      : undefined;
    if (whole) return whole;
    const events = this.#splitter.push(chunk);
    return events.length === 0 ? undefined : this.#record(events);
  }

  /** Takes bytes that are whole events, of which none need be looked at, as they are. @returns `undefined` for others */
  #takeWhole(bytes: Buffer): EventBatch | undefined {
    const text = bytes.toString("latin1");
    const count = countWholeEvents(text);
    if (count === 0 || mayTellError(text) || this.#family.mayTellUsage(text)) return undefined;
    this.#keep(bytes, count);
    return { all: bytes, lean: bytes };
  }

  /** Writes down what has come. @returns it as it goes on: without credentials in errors */
  #record(come: readonly Buffer[]): EventBatch {
    const joined = join(come);
    // One look at all of them: what is looked for is in hardly any.
    const text = joined.toString("latin1");
    const events = mayTellError(text) ? come.map((event) => scrubError(event, this.#secrets)) : come;
    const all = events === come ? joined : join(events);
    this.#keep(all, events.length);
    if (!this.#family.mayTellUsage(text)) return { all, lean: all };
    const lean = events.filter((event) => !this.#family.isUsageEvent(event));
    return { all, lean: lean.length === events.length ? all : Buffer.concat(lean) };
  }

  #keep(bytes: Buffer, events: number): void {
    this.bytes += bytes.length;
    this.events += events;
    this.#unkept?.push(bytes);
    this.#kept?.push(bytes);
    if (this.bytes <= MAX_ASSEMBLED_BYTES || !this.#kept) return;
    this.#unkept = new UnkeptUsage();
    for (const kept of this.#kept) this.#unkept.push(kept);
    this.#kept = undefined;
  }

  /** What a stream that was not kept has told of its cost. */
  get usage(): TokenUsage | undefined {
    return this.#unkept?.read();
  }

  /** Done after the last event has gone out: nobody waits for it but callers who asked for the whole answer. */
  #assemble(): WholeAnswer {
    if (!this.#kept) throw new LongStream();
    const assembler = this.#family.assemble();
    const text = join(this.#kept).toString("utf8");
    // One look at all of it: hardly any stream has such numbers.
    const mark = mayHaveLongNumbers(text) ? markData : undefined;
    for (const event of readSseEvents(text)) assembler.push(mark ? mark(event) : event);
    const answer = assembler.finish();
    if (!answer) throw new UpstreamFailure("The provider's stream did not end as it should.", { status: 502 });
    return { answer, body: Buffer.from(restoreLongNumbers(JSON.stringify(answer))) };
  }
}

function markData(event: SseEvent): SseEvent {
  return event.data === undefined ? event : { ...event, data: markLongNumbers(event.data) };
}

function join(pieces: readonly Buffer[]): Buffer {
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
}
