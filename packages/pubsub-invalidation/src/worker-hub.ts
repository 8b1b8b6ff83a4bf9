import type { Cluster } from "node:cluster";
import { type Clock, encodeMessage, systemClock } from "@larder/cache-core";
import { LaneLog } from "./lane-log.ts";
import type { PortBusOptions } from "./port-bus.ts";
import { WorkerInvalidationBus } from "./worker-bus.ts";
import { type IpcEnd, ipcLink, linkPair, type ThreadEnd, threadLink, type WorkerLink } from "./worker-link.ts";
import type { WorkerMessage } from "./worker-message.ts";

type RunMessage = Extract<WorkerMessage, { readonly kind: "run" }>;

/** One worker as the hub sees it. */
interface Member {
  readonly link: WorkerLink;
  /** Who in the worker wants a channel: a bus that closes must not take it from another one. */
  readonly channels: Map<string, Set<string>>;
  /** Characters handed to its channel, of which the worker has read so many, and at which the last mark stands. */
  sent: number;
  read: number;
  marked: number;
}

/** Characters of messages that a worker may be behind. */
const MAX_BEHIND = 4 * 1_024 * 1_024;
/** Characters after which a worker is asked how far it has read. */
const MARK_EVERY = MAX_BEHIND / 8;
/** What a message costs besides its text, in characters. */
const ENVELOPE = 100;

/**
 * In the primary process of a machine: gives the invalidations of its workers their order, keeps the log, and passes them on. It is to
 * `WorkerInvalidationBus` what Redis is to `RedisInvalidationBus`, and answers the same scripts. When the primary ends its workers are
 * blind, know it, and cap the staleness of what they serve.
 *
 * A worker that stands still (stopped by a signal, in a debugger, in a loop without end) reads nothing, and what is sent to it stays in
 * this process's memory. So a mark is sent after so many characters, which the worker sends back when it has read so far, and past a
 * bound it is sent no more messages: its next heartbeat shows it the hole, and it reads the log or drops everything.
 */
export class WorkerBusHub {
  readonly #clock: Clock;
  readonly #lanes: Map<string, LaneLog> = new Map();
  readonly #members: Map<Member, () => void> = new Map();
  #isClosed = false;

  /** @param clock where `redisTimeOffsetMs` of the workers' stats comes from */
  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Serves all workers of `node:cluster`, those to come included. */
  attachCluster(cluster: Pick<Cluster, "on" | "workers">): void {
    for (const worker of Object.values(cluster.workers ?? {})) if (worker) this.attachProcess(worker);
    cluster.on("fork", (worker) => this.attachProcess(worker));
  }

  /** Serves one child process started with an IPC channel, or one worker of `node:cluster`. */
  attachProcess(child: IpcEnd): void {
    this.connect(ipcLink(child));
  }

  /** Serves one thread, by its `Worker` or by a `MessagePort` to it. */
  attachThread(thread: ThreadEnd): void {
    this.connect(threadLink(thread));
  }

  /** A bus for the primary's own caches. Close it before the hub. */
  createBus(options: PortBusOptions = {}): WorkerInvalidationBus {
    const [ours, theirs] = linkPair();
    this.connect(ours);
    return new WorkerInvalidationBus({ ...options, link: theirs });
  }

  /** Serves whoever is at the other end. */
  connect(link: WorkerLink): void {
    if (this.#isClosed) return;
    const member: Member = { link, channels: new Map(), sent: 0, read: 0, marked: 0 };
    const stop = link.listen(
      (message) => this.#onMessage(member, message),
      () => this.#drop(member),
    );
    this.#members.set(member, stop);
  }

  /** Workers served now. */
  get size(): number {
    return this.#members.size;
  }

  /** Serves nobody any more. Calling it again is fine. */
  close(): void {
    this.#isClosed = true;
    for (const member of [...this.#members.keys()]) this.#drop(member);
  }

  #drop(member: Member): void {
    this.#members.get(member)?.();
    this.#members.delete(member);
  }

  #onMessage(member: Member, message: WorkerMessage): void {
    if (message.kind === "subscribe") {
      const { from, channels } = message;
      for (const channel of channels) member.channels.set(channel, (member.channels.get(channel) ?? new Set()).add(from));
      member.link.send({ larder: 1, kind: "subscribed", from, channels });
    } else if (message.kind === "unsubscribe") {
      for (const channel of message.channels) this.#unsubscribe(member, channel, message.from);
    } else if (message.kind === "message") {
      this.#publish(message.channel, message.text);
    } else if (message.kind === "mark") {
      member.read = Math.max(member.read, Math.min(message.at, member.sent));
    } else if (message.kind === "run") {
      const { from, id, script } = message;
      // It is awake, and an earlier mark may have been lost on a channel that can lose messages.
      if (script === "check" && member.sent - member.read > MARK_EVERY) this.#mark(member);
      member.link.send({ larder: 1, kind: "reply", from, id, value: this.#run(message) });
    }
  }

  #unsubscribe(member: Member, channel: string, from: string): void {
    const wanting = member.channels.get(channel);
    wanting?.delete(from);
    if (wanting?.size === 0) member.channels.delete(channel);
  }

  /** Arguments as the scripts in `scripts.ts` take them. */
  #run({ script, keys, args }: RunMessage): unknown {
    const [record = ""] = keys;
    if (script === "replay") return this.#lanes.get(record)?.page(Number(args[0]), Number(args[1])) ?? [null, 0, []];
    const lane = this.#lanes.get(record) ?? new LaneLog(args[0] ?? "");
    this.#lanes.set(record, lane);
    if (script === "check") {
      const state = lane.state();
      if (args[2]) this.#publish(args[2], `${args[3]} ${state[0]} ${state[1]}`);
      return [...state, this.#clock.wallNow()];
    }
    const [, , channel = "", limit, body = "", kind = "", subject = ""] = args;
    const place = lane.append(body, kind, subject, Number(limit));
    this.#publish(channel, encodeMessage(...place, body));
    return place;
  }

  #publish(channel: string, text: string): void {
    for (const member of this.#members.keys()) {
      if (!member.channels.has(channel)) continue;
      const size = text.length + channel.length + ENVELOPE;
      if (member.sent + size - member.read > MAX_BEHIND) continue;
      member.sent += size;
      member.link.send({ larder: 1, kind: "message", channel, text });
      if (member.sent - member.marked >= MARK_EVERY) this.#mark(member);
    }
  }

  #mark(member: Member): void {
    member.marked = member.sent;
    member.link.send({ larder: 1, kind: "mark", at: member.sent });
  }
}
