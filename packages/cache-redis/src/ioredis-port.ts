import { createHash } from "node:crypto";
import type { EventEmitter } from "node:events";
import type { Cluster, Command, Redis } from "ioredis";
import { toCallFailure } from "./call-failure.ts";
import type { RedisPort, RedisPortEvents } from "./redis-port.ts";
import { scriptCommandOf } from "./script-command.ts";
import { type RedisScript, writeScripts } from "./scripts.ts";

type Client = Redis | Cluster;
type Listener = Parameters<EventEmitter["on"]>[1];

function isCluster(client: Client): client is Cluster {
  return client.isCluster;
}

const sha1Of: WeakMap<RedisScript, string> = new WeakMap();

function sha1(script: RedisScript): string {
  let digest = sha1Of.get(script);
  if (digest === undefined) {
    digest = createHash("sha1").update(script.source).digest("hex");
    sha1Of.set(script, digest);
  }
  return digest;
}

const ignore = (): void => {};

/**
 * `RedisPort` over ioredis 5 and 6, for one server, a Sentinel set and a cluster.
 *
 * Batching is by corking the socket for the rest of the turn, so that all commands of a turn leave in one write. ioredis' own
 * auto-pipelining is not used: measured, it makes values of 8 KB and more slower than plain commands are.
 */
export class IoredisPort implements RedisPort {
  /** Of whatever the client failed with last: asked for only while it is not ready. */
  trouble = "";
  readonly #client: Client;
  readonly #isOwned: boolean;
  /** `null` until it was asked for. */
  #Command: typeof Command | undefined | null = null;
  #events: RedisPortEvents | undefined;
  /** The connection for subscriptions; on a cluster the client keeps one by itself. */
  #subscriber: Redis | undefined;
  #isCorked = false;
  /** Whether the last batch had more than one command: then the next one is expected to have, too. */
  #isBusy = false;
  #turnCommands = 0;
  readonly #unlisten: Array<() => void> = [];
  /** Whether messages and their loss are listened for. */
  #isListening = false;
  /** What is listened for on a cluster's nodes. One that is gone is forgotten, or each that comes in its place would be kept for ever. */
  readonly #nodes: Map<Redis, Array<() => void>> = new Map();
  /** Connections whose server has not answered yet to the scripts that it was sent. */
  readonly #loading: WeakSet<Redis> = new WeakSet();

  /** @param isOwned whether `close` ends the client */
  constructor(client: Client, isOwned: boolean) {
    this.#client = client;
    this.#isOwned = isOwned;
  }

  get isReady(): boolean {
    return this.#client.status === "ready";
  }

  get nodeCount(): number {
    return this.#servers("master").length;
  }

  open(events: RedisPortEvents): void {
    this.#events = events;
    const client = this.#client;
    // Somebody must listen, or ioredis writes raw errors, commands and values included, to the console.
    this.#on(client, "error", (error?: { readonly lastNodeError?: unknown }) => {
      // A cluster's client says that no node could be used, and beside it why the last one could not.
      this.trouble = toCallFailure(error?.lastNodeError ?? error).word;
    });
    this.#on(client, "ready", () => this.#begin());
    this.#on(client, "close", () => this.#events?.onDown());
    this.#on(client, "end", () => this.#events?.onDown());
    if (isCluster(client)) this.#watchNodes(client);
    if (client.status === "wait") client.connect().catch(ignore);
    if (this.isReady) this.#begin();
  }

  fields(key: string, names: readonly string[]): Promise<ReadonlyArray<string | null>> {
    return this.#client.hmget(key, ...names);
  }

  get(key: string): Promise<Buffer | null> {
    return this.#client.getBuffer(key);
  }

  getMany(keys: readonly string[]): Promise<ReadonlyArray<Buffer | null>> {
    return this.#client.mgetBuffer(keys as string[]);
  }

  run(script: RedisScript, keys: readonly string[], args: ReadonlyArray<string | number | Buffer>): Promise<unknown> {
    return this.#send("evalsha", sha1(script), keys, args).catch((error: unknown) => {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return this.#send("eval", script.source, keys, args);
    });
  }

  #send(name: string, script: string, keys: readonly string[], args: ReadonlyArray<string | number | Buffer>): Promise<unknown> {
    if (this.#Command === null) this.#Command = scriptCommandOf(this.#client);
    if (!this.#Command) return this.#client.callBuffer(name, script, keys.length, ...keys, ...args);
    const command = new this.#Command(name, [script, keys.length, ...keys, ...args]);
    this.#client.sendCommand(command);
    return command.promise;
  }

  async scan(node: number, cursor: string, match: string, count: number): Promise<readonly [string, readonly string[]]> {
    const master = this.#servers("master")[node];
    if (!master) throw new Error("the cluster has fewer masters than before");
    return master.scan(cursor, "MATCH", match, "COUNT", count);
  }

  async subscribe(channel: string): Promise<void> {
    await this.#subscriptions().subscribe(channel);
  }

  dropSubscriptions(): void {
    // While it connects it has a timeout of its own. A cluster's client looks after its connection itself.
    if (this.#subscriber?.status === "ready") this.#subscriber.stream.destroy();
  }

  unsubscribe(channel: string): void {
    this.#subscriptions().unsubscribe(channel).catch(ignore);
  }

  batch(inFlight: number): void {
    this.#turnCommands += 1;
    // One caller, who asks again when he is answered, gains nothing by a later write.
    if (this.#isCorked || (inFlight === 0 && !this.#isBusy)) return;
    this.#isCorked = true;
    this.#turnCommands = 1;
    const streams = this.#servers("all").map((connection) => connection.stream);
    for (const stream of streams) stream?.cork();
    process.nextTick(() => {
      this.#isCorked = false;
      this.#isBusy = this.#turnCommands > 1;
      for (const stream of streams) stream?.uncork();
    });
  }

  reconnect(): void {
    const client = this.#client;
    if (isCluster(client)) client.refreshSlotsCache();
    // One that makes no connection anew would be ended, for its owner too.
    else if (Number.isFinite(client.options.retryStrategy?.(1))) client.disconnect(true);
  }

  close(): void {
    this.#events = undefined;
    for (const stop of [...this.#unlisten.splice(0), ...[...this.#nodes.values()].flat()]) stop();
    // A client that was handed over stays as it is; ours must not write to the console while they end.
    this.#subscriber?.on("error", ignore).disconnect();
    if (!this.#isOwned) return;
    this.#client.on("error", ignore);
    this.#client.disconnect();
  }

  #on(emitter: EventEmitter, event: string, listener: Listener, unlisten: Array<() => void> = this.#unlisten): void {
    // Many caches may share a client; each counts once, so that the emitter's own warning about leaks keeps its meaning.
    const limit = emitter.getMaxListeners();
    if (limit > 0 && emitter.listenerCount(event) + 1 > limit) emitter.setMaxListeners(limit + 1);
    emitter.on(event, listener);
    unlisten.push(() => emitter.off(event, listener));
  }

  #servers(role: "all" | "master"): readonly Redis[] {
    return isCluster(this.#client) ? this.#client.nodes(role) : [this.#client];
  }

  #begin(): void {
    this.#events?.onUp();
    // Behind the check, which somebody may wait for. A cluster's nodes are connected one by one.
    if (!isCluster(this.#client)) this.#load(this.#client);
  }

  /**
   * Makes the scripts of writes known to a server, so that the first write of each kind does not have to ask twice. A server that refuses,
   * or forgets them, is told by that write. A connection that comes and goes without an answer is sent them once.
   */
  #load(connection: Redis): void {
    if (this.#loading.has(connection)) return;
    this.#loading.add(connection);
    const loads = writeScripts.map(({ source }) => connection.script("LOAD", source));
    void Promise.allSettled(loads).then(() => this.#loading.delete(connection));
  }

  /** A node that is connected anew may be another server than before: the same as a new connection of the whole. */
  #watchNodes(cluster: Cluster): void {
    const watch = (node: Redis): void => {
      if (this.#nodes.has(node)) return;
      const unlisten: Array<() => void> = [];
      this.#nodes.set(node, unlisten);
      const begin = (): void => {
        this.#load(node);
        if (this.isReady) this.#events?.onUp();
      };
      this.#on(node, "ready", begin, unlisten);
      this.#on(node, "error", ignore, unlisten);
    };
    this.#on(cluster, "+node", watch);
    this.#on(cluster, "-node", (node: Redis) => this.#nodes.delete(node));
    for (const node of cluster.nodes("all")) watch(node);
  }

  #subscriptions(): Client {
    if (isCluster(this.#client)) {
      this.#listenOnce(this.#client);
      return this.#client;
    }
    if (!this.#subscriber) {
      const retryStrategy = (times: number): number => Math.min(50 * 2 ** times, 2_000);
      this.#subscriber = this.#client.duplicate({
        autoResubscribe: false,
        enableOfflineQueue: true,
        maxRetriesPerRequest: null,
        lazyConnect: false,
        connectTimeout: 2_000,
        retryStrategy,
        // The caller's may give up for good.
        sentinelRetryStrategy: retryStrategy,
      });
      this.#listenOnce(this.#subscriber);
    }
    return this.#subscriber;
  }

  #listenOnce(client: Client): void {
    if (this.#isListening) return;
    this.#isListening = true;
    this.#on(client, "error", ignore);
    this.#on(client, "close", () => this.#events?.onSubscriptionsLost());
    this.#on(client, "message", (channel: string, text: string) => this.#events?.onMessage(channel, text));
  }
}
