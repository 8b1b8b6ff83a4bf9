import type { TokenUsage } from "../answers/family.ts";
import { isObject, type JsonObject, parseObject } from "../answers/json.ts";

/** What is known about a stored answer beside its bytes. */
export interface AnswerMeta {
  /** The tenant whose request made it: compared at every read, so that even a colliding key gives nobody another's answer. */
  readonly owner: string;
  /** The model as the request named it. */
  readonly model: string;
  /** The model as the provider calls it: an alias or a route may have led there. Absent in entries of before it was kept. */
  readonly upstreamModel?: string;
  /** The model that an embedding's answer named, where that is another: other answers have it in their body. */
  readonly toldModel?: string | undefined;
  /** Which provider answered. */
  readonly provider: string;
  /** Epoch milliseconds when it was made. */
  readonly createdAt: number;
  /** Milliseconds for which it is fresh. */
  readonly ttlMs: number;
  /** Milliseconds that the provider took: what a hit saves. */
  readonly upstreamMs: number;
  /** What it cost; `undefined` when the provider did not tell. */
  readonly usage?: TokenUsage | undefined;
  /** The labels of the request that it was made for, as the plan has them; absent when there are none. */
  readonly labels?: string | undefined;
  /** How `body` is to be read: a JSON answer, or an embedding's numbers. */
  readonly format: "json" | "f32" | "f64";
}

/** An answer as it is cached: canonical bytes from which every form that a client may ask for is rendered. */
export class StoredAnswer {
  readonly meta: AnswerMeta;
  readonly body: Buffer;
  /** Monotonic milliseconds when it was made: the wall clock may be set while it is held. Of one from elsewhere, as far as its maker's clock was right. */
  readonly #bornAt: number;
  /** Rendered forms by name; filled and emptied by `RenderedForms` alone. Most answers never have one, and are kept by the ten thousand. */
  forms: Map<string, Buffer> | undefined;

  constructor(meta: AnswerMeta, body: Buffer) {
    this.meta = meta;
    this.body = body;
    this.#bornAt = performance.now() - Math.max(0, Date.now() - meta.createdAt);
  }

  /** Whole milliseconds since it was made. */
  get ageMs(): number {
    return Math.floor(performance.now() - this.#bornAt);
  }

  /** Whether it is fresh no longer. */
  get isPastItsTime(): boolean {
    return this.ageMs > this.meta.ttlMs;
  }

  /** Bytes held, for `maxBytes`: the body and a bound on what describes it. */
  get size(): number {
    const { model, upstreamModel = "" } = this.meta;
    return this.body.length + model.length + upstreamModel.length + 512;
  }

  /** The bytes that go into a second tier: meta as one line of JSON, then the body. */
  encode(): Buffer {
    return Buffer.concat([Buffer.from(`${JSON.stringify(this.meta)}\n`), this.body]);
  }

  /** Reads what `encode` made. @throws {Error} when the bytes are something else: a store counts that as a miss */
  static decode(bytes: Buffer): StoredAnswer {
    const end = bytes.indexOf(0x0a);
    const meta = end < 0 ? undefined : parseObject(bytes.toString("utf8", 0, end));
    if (!meta || !isMeta(meta)) throw new Error("not a stored answer");
    // A copy: what comes from a socket is a view of a larger buffer that would be kept alive.
    return new StoredAnswer(meta as unknown as AnswerMeta, Buffer.from(bytes.subarray(end + 1)));
  }
}

/** A provider's name goes into a header; printable, it can be sent. */
const PROVIDER = /^[\x21-\x7e]{1,512}$/;
const FORMATS: ReadonlySet<unknown> = new Set(["json", "f32", "f64"]);

/** Whether what was read describes an answer: it may have been written by another version, or by whoever can write to the second tier. */
function isMeta({ owner, model, upstreamModel, toldModel, provider, createdAt, ttlMs, upstreamMs, usage, format }: JsonObject): boolean {
  if (typeof owner !== "string" || owner === "" || typeof model !== "string" || !FORMATS.has(format)) return false;
  if (typeof provider !== "string" || !PROVIDER.test(provider)) return false;
  if (upstreamModel !== undefined && typeof upstreamModel !== "string") return false;
  if (toldModel !== undefined && typeof toldModel !== "string") return false;
  if (!isCount(createdAt) || !isCount(ttlMs) || !isCount(upstreamMs)) return false;
  return usage === undefined || (isObject(usage) && isUsage(usage));
}

function isUsage({ inputTokens, outputTokens, ...parts }: JsonObject): boolean {
  return isCount(inputTokens) && isCount(outputTokens) && Object.values(parts).every(isCount);
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
