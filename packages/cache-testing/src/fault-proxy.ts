import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * What a proxy does to the traffic:
 * - `pass`: nothing.
 * - `stall`: reads neither side, so that TCP's own back-pressure builds up; nothing is lost, and all arrives after `pass`.
 * - `black-hole`: swallows bytes of both directions, or of one (`up` = to the server, `down` = to the client). Lost for good: no TCP
 *   connection survives this in earnest, so it is the worst case.
 * - `refuse`: resets what is open and refuses new connections.
 * - `accept-and-hang`: accepts new connections and never forwards a byte; stalls those that are open.
 * - `latency`: every chunk comes `latencyMs` later, in order.
 * - `chunk`: replies come in pieces of `bytes`, each in a turn of its own.
 * - `cut`: ends each connection (FIN) after `bytes` more bytes of reply: in the middle of one, when chosen so.
 * - `corrupt`: inverts every `every`-th byte of the replies.
 */
export type Fault =
  | { readonly kind: "pass" | "stall" | "refuse" | "accept-and-hang" | "black-hole" | "black-hole-up" | "black-hole-down" }
  | { readonly kind: "latency"; readonly latencyMs: number }
  | { readonly kind: "chunk"; readonly bytes: number }
  | { readonly kind: "cut"; readonly bytes: number }
  | { readonly kind: "corrupt"; readonly every: number };

/** Enough for the pieces to leave in writes of their own. */
const PIECE_GAP_MS = 2;

type Direction = "up" | "down";

/** One client and its connection to the server behind. */
class ProxiedConnection {
  readonly client: Socket;
  readonly server: Socket;
  /** What is held back, in order. */
  readonly #waiting: Record<Direction, Array<{ readonly dueAt: number; readonly chunk: Buffer }>> = { up: [], down: [] };
  readonly #fault: () => Fault;
  #repliedBytes = 0;

  constructor(client: Socket, server: Socket, fault: () => Fault) {
    this.client = client;
    this.server = server;
    this.#fault = fault;
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      // An error is always followed by close, which ends the other side.
      socket.on("error", () => {});
      socket.on("close", () => this.destroy());
    }
    client.on("data", (chunk: Buffer) => this.#forward("up", chunk));
    server.on("data", (chunk: Buffer) => this.#forward("down", chunk));
  }

  /** Bytes of the reply are counted anew. */
  restartCount(): void {
    this.#repliedBytes = 0;
  }

  setPaused(isPaused: boolean): void {
    for (const socket of [this.client, this.server]) isPaused ? socket.pause() : socket.resume();
  }

  destroy(): void {
    this.client.destroy();
    this.server.destroy();
  }

  reset(): void {
    this.client.resetAndDestroy();
    this.server.resetAndDestroy();
  }

  #forward(direction: Direction, chunk: Buffer): void {
    const fault = this.#fault();
    if (fault.kind === "black-hole" || fault.kind === `black-hole-${direction}`) return;
    if (fault.kind === "latency") this.#later(direction, chunk, fault.latencyMs);
    else if (direction === "down" && fault.kind === "chunk") this.#inPieces(chunk, fault.bytes);
    else if (direction === "down" && fault.kind === "cut") this.#cut(chunk, fault.bytes);
    else if (direction === "down" && fault.kind === "corrupt") this.#corrupt(chunk, fault.every);
    else this.#send(direction, chunk);
  }

  /** Sends at once, unless something is held back: bytes of one direction never overtake each other. */
  #send(direction: Direction, chunk: Buffer): void {
    if (this.#waiting[direction].length > 0) this.#later(direction, chunk, 0);
    else this.#write(direction, chunk);
  }

  #write(direction: Direction, chunk: Buffer): void {
    const target = direction === "up" ? this.server : this.client;
    if (!target.destroyed && !target.writableEnded) target.write(chunk);
  }

  /** One queue and one timer a direction: timers of their own would fire in another order when they are due within a millisecond. */
  #later(direction: Direction, chunk: Buffer, latencyMs: number): void {
    const waiting = this.#waiting[direction];
    const dueAt = Math.max(waiting.at(-1)?.dueAt ?? 0, performance.now() + latencyMs);
    waiting.push({ dueAt, chunk });
    if (waiting.length === 1) this.#sendWhenDue(direction);
  }

  #sendWhenDue(direction: Direction): void {
    const [next] = this.#waiting[direction];
    if (!next) return;
    setTimeout(
      () => {
        this.#waiting[direction].shift();
        this.#write(direction, next.chunk);
        this.#sendWhenDue(direction);
      },
      Math.max(0, next.dueAt - performance.now()),
    );
  }

  #inPieces(chunk: Buffer, bytes: number): void {
    for (let start = 0, turn = 0; start < chunk.length; start += bytes, turn += 1) {
      this.#later("down", chunk.subarray(start, start + bytes), turn * PIECE_GAP_MS);
    }
  }

  #cut(chunk: Buffer, bytes: number): void {
    const left = bytes - this.#repliedBytes;
    this.#repliedBytes += chunk.length;
    if (chunk.length < left) this.#send("down", chunk);
    else if (!this.client.writableEnded) {
      for (const held of this.#waiting.down) this.#write("down", held.chunk);
      this.client.end(chunk.subarray(0, Math.max(0, left)), () => this.destroy());
    }
  }

  #corrupt(chunk: Buffer, every: number): void {
    const spoiled = Buffer.from(chunk);
    for (let index = 0; index < spoiled.length; index += 1) {
      this.#repliedBytes += 1;
      if (this.#repliedBytes % every === 0) spoiled[index] = 0xff ^ (spoiled[index] as number);
    }
    this.#send("down", spoiled);
  }
}

/** A TCP proxy in front of a server on 127.0.0.1 that does to its traffic what networks do. */
export class FaultProxy {
  readonly #targetPort: number;
  readonly #connections: Set<ProxiedConnection> = new Set();
  readonly #held: Set<Socket> = new Set();
  #listener: Server | undefined;
  #fault: Fault = { kind: "pass" };
  #port = 0;
  #accepted = 0;

  /** @internal use `startFaultProxy` */
  constructor(targetPort: number) {
    this.#targetPort = targetPort;
  }

  /** Where it listens: the same one for its whole life. */
  get port(): number {
    return this.#port;
  }

  /** For clients: `redis://127.0.0.1:PORT`. */
  get url(): string {
    return `redis://127.0.0.1:${this.#port}`;
  }

  /** Connections open now. */
  get openConnections(): number {
    return this.#connections.size;
  }

  /** Connections accepted so far. */
  get acceptedConnections(): number {
    return this.#accepted;
  }

  /** Sets what happens to the traffic from now on, on open connections and new ones. */
  async set(fault: Fault): Promise<void> {
    this.#fault = fault;
    const isStalled = fault.kind === "stall" || fault.kind === "accept-and-hang";
    for (const connection of this.#connections) {
      connection.restartCount();
      connection.setPaused(isStalled);
    }
    if (fault.kind === "refuse") {
      this.reset();
      await this.#stopListening();
    } else {
      // Those held by accept-and-hang were never forwarded: they can only be ended.
      if (fault.kind !== "accept-and-hang") for (const socket of this.#held) socket.destroy();
      await this.listen();
    }
  }

  /** `set({ kind: "pass" })`. */
  heal(): Promise<void> {
    return this.set({ kind: "pass" });
  }

  /** Resets (RST) all open connections; new ones are accepted. */
  reset(): void {
    for (const connection of this.#connections) connection.reset();
    for (const socket of this.#held) socket.resetAndDestroy();
  }

  /** @internal */
  async listen(): Promise<void> {
    if (this.#listener) return;
    const listener = createServer((client) => this.#accept(client));
    this.#listener = listener;
    listener.unref();
    listener.listen(this.#port, "127.0.0.1");
    await once(listener, "listening");
    this.#port = (listener.address() as AddressInfo).port;
  }

  #accept(client: Socket): void {
    this.#accepted += 1;
    if (this.#fault.kind === "accept-and-hang") {
      this.#held.add(client);
      client.on("error", () => {}).on("close", () => this.#held.delete(client));
      return;
    }
    const connection = new ProxiedConnection(client, connect(this.#targetPort, "127.0.0.1"), () => this.#fault);
    this.#connections.add(connection);
    client.on("close", () => this.#connections.delete(connection));
    if (this.#fault.kind === "stall") connection.setPaused(true);
  }

  async #stopListening(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    if (listener) await new Promise<void>((resolve) => listener.close(() => resolve()));
  }

  /** Ends all connections and stops listening. Calling it again is fine. */
  async close(): Promise<void> {
    this.reset();
    await this.#stopListening();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Starts a proxy on a free port of 127.0.0.1 in front of the server at `targetPort`. */
export async function startFaultProxy(targetPort: number): Promise<FaultProxy> {
  const proxy = new FaultProxy(targetPort);
  await proxy.listen();
  return proxy;
}
