import type { IncomingMessage, ServerResponse } from "node:http";

/** Milliseconds that what still comes of a request is waited for. */
const LINGER_MS = 30_000;
/** Milliseconds in which something must come. */
const IDLE_MS = 5_000;

/**
 * Ends an answer that stands before its request has come whole: a refusal of a large body, or of the key that it came with. Closed at once, the connection
 * would be reset under what is still on its way, and a reset takes the answer with it: of bodies of megabytes every other sender was told of a broken
 * connection where the answer was 401, 413 or 429, and sent it again. So the answer goes out first, and what still comes is read and thrown
 * away for a while, as nginx does (`lingering_close`). The answer must have told its length: senders know then that they have all of it.
 */
export function endEarly(request: IncomingMessage, response: ServerResponse, piece: Buffer | string | undefined): void {
  if (piece !== undefined) response.write(piece);
  const end = (): void => {
    clearTimeout(idle);
    clearTimeout(longest);
    response.end();
  };
  const idle = setTimeout(end, IDLE_MS);
  const longest = setTimeout(end, LINGER_MS);
  request.on("data", () => idle.refresh());
  request.once("end", end).once("close", end);
  request.resume();
}
