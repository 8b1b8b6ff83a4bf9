import type { Cluster } from "node:cluster";
import type { MessagePort } from "node:worker_threads";
import { type Clock, encodeMessage, systemClock } from "@larder/cache-core";
import { LaneLog } from "./lane-log.ts";
import type { PortBusOptions } from "./port-bus.ts";
import { WorkerInvalidationBus } from "./worker-bus.ts";
import { type IpcEnd, ipcLink, linkPair, threadLink, type WorkerLink } from "./worker-link.ts";
import type { WorkerMessage } from "./worker-message.ts";

type RunMessage = Extract<WorkerMessage, { readonly kind: "run" }>;

/** One worker as the hub sees it. */
interface Member {
  readonly link: WorkerLink;
  readonly channels: Set<string>;
}

/**
 * In the primary process of a machine: gives the invalidations of its workers their order, keeps the log, and passes them on. It is to
 * `WorkerInvalidationBus` what Redis is to `RedisInvalidationBus`, and answers the same scripts. When the primary ends its workers are
 * blind, know it, and cap the staleness of what they serve.
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

  /** Serves one thread. */
  attachThread(thread: Pick<MessagePort, "postMessage" | "on" | "off">): void {
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
    const member: Member = { link, channels: new Set() };
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
      for (const channel of message.channels) member.channels.add(channel);
      member.link.send({ larder: 1, kind: "subscribed", channels: message.channels });
    } else if (message.kind === "unsubscribe") {
      for (const channel of message.channels) member.channels.delete(channel);
    } else if (message.kind === "message") {
      this.#publish(message.channel, message.text);
    } else if (message.kind === "run") {
      member.link.send({ larder: 1, kind: "reply", id: message.id, value: this.#run(message) });
    }
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
    for (const { channels, link } of this.#members.keys()) {
      if (channels.has(channel)) link.send({ larder: 1, kind: "message", channel, text });
    }
  }
}
