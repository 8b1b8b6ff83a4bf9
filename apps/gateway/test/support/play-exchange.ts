import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import type { RandomExchange } from "./random-exchange.ts";
import { type ReadEvent, readEvents } from "./read-back.ts";
import type { Behaviour } from "./upstream.ts";

/** Has the upstream answer requests whose `case` names an exchange as that says. */
export function playExchanges(exchanges: ReadonlyMap<unknown, RandomExchange>): Behaviour {
  return async (seen, response) => {
    const exchange = exchanges.get(seen.body.case);
    if (!exchange) return false;
    const isStream = seen.body.stream === true;
    const { encoding, type, fault } = exchange;
    response.writeHead(200, {
      ...exchange.headers,
      "content-type": isStream ? type.stream : type.json,
      ...(encoding ? { "content-encoding": encoding } : {}),
    });
    if (!isStream) {
      response.end(exchange.body);
      return true;
    }
    const chunks = exchange.stream(asksUsage(seen.body));
    const isBrokenOff = fault === "broken off";
    for (const chunk of isBrokenOff ? chunks.slice(0, chunks.length / 2) : chunks) {
      response.write(chunk);
      // Now and then the rest comes later.
      if (chunks.length < 50) await new Promise((resolve) => setImmediate(resolve));
    }
    if (isBrokenOff) response.destroy();
    else response.end();
    return true;
  };
}

function asksUsage({ stream_options: options }: Record<string, unknown>): boolean {
  return (options as { include_usage?: boolean } | undefined)?.include_usage === true;
}

/** The whole answer's bytes as a client reads them. */
export function bytesOf(exchange: RandomExchange): Buffer {
  return decode(exchange, exchange.body);
}

/** The stream's events as a client reads them, without the closing usage chunk unless it is asked for. An event that was not ended counts, as it does for most clients. */
export function eventsOf(exchange: RandomExchange, includeUsage: boolean): ReadEvent[] {
  const bytes = decode(exchange, Buffer.concat(exchange.stream(true)));
  const events = readEvents(Buffer.concat([bytes, Buffer.from("\n\n")]));
  return includeUsage || !hidesUsage(exchange) ? events : events.filter(({ data }) => !isUsageChunk(data));
}

/** Whether streams tell their usage only to those who ask. */
export function hidesUsage({ kind }: RandomExchange): boolean {
  return kind === "chat" || kind === "completions";
}

function isUsageChunk(data: string): boolean {
  try {
    const { choices, usage } = JSON.parse(data) as { choices?: unknown; usage?: unknown };
    return Array.isArray(choices) && choices.length === 0 && typeof usage === "object" && usage !== null;
  } catch {
    return false;
  }
}

function decode({ encoding }: RandomExchange, bytes: Buffer): Buffer {
  if (encoding === "gzip") return gunzipSync(bytes);
  if (encoding === "br") return brotliDecompressSync(bytes);
  return encoding === "deflate" ? inflateSync(bytes) : bytes;
}
