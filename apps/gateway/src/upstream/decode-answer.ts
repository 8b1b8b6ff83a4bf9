import { Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { collect, headerOf, type UpstreamAnswer } from "./upstream.ts";

const DECODERS: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ["gzip", createGunzip],
  ["x-gzip", createGunzip],
  ["deflate", createInflate],
  ["br", createBrotliDecompress],
]);

/**
 * The answer as it would be without its encoding: some providers encode though they were asked not to. One in an encoding that is not known here stays as it
 * is, `content-encoding` included.
 */
export function decodeAnswer(answer: UpstreamAnswer): UpstreamAnswer {
  const encoding = headerOf(answer.headers, "content-encoding");
  if (encoding === undefined) return answer;
  const create = DECODERS.get(encoding.trim().toLowerCase());
  return create ? new DecodedAnswer(answer, create()) : answer;
}

/** Whether nobody here can read it, after `decodeAnswer`. */
export function isStillEncoded({ headers }: UpstreamAnswer): boolean {
  return (headerOf(headers, "content-encoding")?.trim().toLowerCase() ?? "identity") !== "identity";
}

class DecodedAnswer implements UpstreamAnswer {
  readonly status: number;
  readonly headers: UpstreamAnswer["headers"];
  readonly #answer: UpstreamAnswer;
  readonly #decoder: Transform;

  constructor(answer: UpstreamAnswer, decoder: Transform) {
    const { "content-encoding": _, "content-length": __, ...headers } = answer.headers;
    this.status = answer.status;
    this.headers = headers;
    this.#answer = answer;
    this.#decoder = decoder;
  }

  /** Bounded by what comes out: a small answer may decode to a huge one. */
  bytes(maxBytes: number): Promise<Buffer> {
    return collect(this.body, maxBytes);
  }

  get body(): AsyncIterable<Uint8Array> {
    return decoded(this.#answer.body, this.#decoder);
  }

  discard(): void {
    this.#answer.discard();
  }
}

/** Whoever reads is told of a failure; whoever stops reading breaks the answer off. Nothing at all, as of HEAD, is no encoding cut short. */
async function* decoded(body: AsyncIterable<Uint8Array>, decoder: Transform): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks = body[Symbol.asyncIterator]();
  const first = await chunks.next();
  if (first.done) return;
  const all = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => chunks };
  };
  pipeline(Readable.from(all()), decoder).catch(() => undefined);
  yield* decoder;
}
