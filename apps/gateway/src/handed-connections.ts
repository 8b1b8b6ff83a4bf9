import cluster, { type Worker } from "node:cluster";

/*
 * The primary takes connections, hands each to a worker, and closes its own end of it when the worker says that it has it. Node waits for that word for ever: of a
 * worker that dies before, or stood still until it was killed, one connection would stay open that nobody serves, and its caller would wait for as
 * long as it has patience. Closed, it is a connection that was reset before anything came: clients ask again by themselves.
 *
 * Node hands a worker one connection at a time, and tells nobody: so what it sends is looked at. Where a release of Node says it in other words,
 * nothing is found, and nothing is closed.
 */

/** A connection between two processes. */
interface Handle {
  close(): void;
}

/** What the primary waits for from one worker. */
interface Handed {
  readonly handle: Handle;
  /** By which the worker names it in its word. */
  readonly sequence: number;
}

/** What goes between a primary and a worker that is Node's own. */
interface InternalMessage {
  readonly seq?: unknown;
  readonly ack?: unknown;
}

/** Has the connections closed of which workers have not said that they have them, as soon as they never will. To be called before any worker is forked. */
export function closeUnclaimedConnections(): void {
  cluster.on("fork", watch);
}

function watch({ process: child }: Pick<Worker, "process">): void {
  let waiting: Handed | undefined;
  const send = child.send.bind(child) as (...told: unknown[]) => boolean;
  child.send = (...told: unknown[]): boolean => {
    waiting = toHanded(told) ?? waiting;
    return send(...told);
  };
  const hear = (message: InternalMessage): void => {
    if (message.ack === waiting?.sequence) waiting = undefined;
  };
  (child as NodeJS.EventEmitter).on("internalMessage", hear);
  // What it had said before its death has been read by then. Not `disconnect`, which does not come while such a word is waited for.
  child.once("close", () => waiting?.handle.close());
}

function toHanded([message, handle]: readonly unknown[]): Handed | undefined {
  const sequence = (message as InternalMessage).seq;
  const isHandle = typeof (handle as Partial<Handle> | undefined)?.close === "function";
  return isHandle && typeof sequence === "number" ? { handle: handle as Handle, sequence } : undefined;
}
