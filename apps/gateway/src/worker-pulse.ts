import { type Clock, systemClock } from "@larder/cache-core";

/*
 * A worker in an endless loop is alive as far as the system knows: it answers nobody, keeps every connection that it holds, and is never replaced. So the
 * primary asks each worker now and then whether it is there.
 *
 * What is counted are looks of the primary's at a question that is not answered, not time: a primary that stood still itself, or a machine that slept, did
 * not look meanwhile. There is one question at a time, since what is sent to a worker that stands still stays in the primary's memory.
 */

/** Milliseconds between two looks at a worker. */
const LOOK_EVERY_MS = 5_000;
/** Looks in a row without an answer after which a worker is given up. A minute: no work of one turn takes that long, a large answer on a busy machine included. */
const LOOKS_WITHOUT_ANSWER = 12;

/** Milliseconds that a worker says nothing, at least, before it is given up. */
export const PATIENCE_MS: number = LOOK_EVERY_MS * LOOKS_WITHOUT_ANSWER;

/** What goes between primary and workers. */
export type PulseMessage = { readonly pulse: "ask" } | { readonly pulse: "answer" };

/** One end of a channel that carries JSON. */
export interface PulseEnd {
  send(message: PulseMessage): void;
  listen(onMessage: (message: unknown) => void): void;
}

function tells(message: unknown, pulse: PulseMessage["pulse"]): boolean {
  return (message as Partial<PulseMessage> | null)?.pulse === pulse;
}

/** A worker's part. */
export function answerPulse(end: PulseEnd): void {
  end.listen((message) => {
    if (tells(message, "ask")) end.send({ pulse: "answer" });
  });
}

/** The primary's part: watches a worker. @param onSilent called once, when it is given up @returns what to call when it has ended */
export function watchPulse(end: PulseEnd, onSilent: () => void, clock: Pick<Clock, "setTimer"> = systemClock): () => void {
  let unanswered = 0;
  end.listen((message) => {
    if (tells(message, "answer")) unanswered = 0;
  });
  const look = (): void => {
    if (unanswered === LOOKS_WITHOUT_ANSWER) {
      onSilent();
      return;
    }
    unanswered += 1;
    if (unanswered === 1) end.send({ pulse: "ask" });
    stop = clock.setTimer(look, LOOK_EVERY_MS);
  };
  let stop = clock.setTimer(look, LOOK_EVERY_MS);
  return () => stop();
}
