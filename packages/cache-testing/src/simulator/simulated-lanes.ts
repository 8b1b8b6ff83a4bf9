import type { Clock } from "@larder/cache-core";
import { laneOf } from "./lane-of.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { SimulatedAddress, SimulatedServer } from "./simulated-address.ts";
import { type LinkWeather, SimulatedLink } from "./simulated-link.ts";
import { ReplyError, type Subscriber } from "./simulated-redis.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** A message that nobody understands, of a length that takes the whole of a turn. */
const GIBBERISH = "x".repeat(262_144);

/** What the ports of one process stand on. */
export interface PortContext {
  readonly time: VirtualTime;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly weather: LinkWeather;
  /** Probability from 0 to 1 that a call is sent again whose connection was lost. @default 0 */
  readonly resend?: number;
  readonly address: SimulatedAddress;
  /** A message was handed to this process: told before the process sees it, and once it has. */
  readonly onDelivery: (channel: string, text: string) => void;
}

/** One that has not been answered. */
interface PendingCall {
  /** At first, and again where a client does so that has lost its connection: it may take effect twice. */
  send(): void;
  reject(error: Error): void;
}

/** What calls on a connection that is gone reject with. */
export class ConnectionLost extends Error {
  override name = "ConnectionLost";
}

/** A request-and-reply connection: commands run on the server in order, replies come back in order, a cut rejects what is under way. */
export class CommandLane {
  readonly link: SimulatedLink;
  readonly address: SimulatedAddress;
  readonly #random: SeededRandom;
  /** Probability from 0 to 1 that a call under way when the connection is lost is sent again on the next one. */
  readonly #resend: number;
  readonly #pending: Set<PendingCall> = new Set();
  /** The one at the other end. */
  #server: SimulatedServer;

  constructor({ time, random, weather, address, resend = 0 }: PortContext, events: { onUp(): void; onDown(): void }) {
    this.address = address;
    this.#random = random;
    this.#resend = resend;
    this.#server = address.master;
    this.link = new SimulatedLink(time, random, weather, {
      isReachable: () => !address.isAway,
      onUp: () => {
        this.#server = address.reach(this.link);
        for (const call of this.#pending) call.send();
        events.onUp();
      },
      onDown: () => {
        events.onDown();
        for (const call of [...this.#pending]) if (!this.#isResent()) call.reject(new ConnectionLost("the connection was lost"));
      },
    });
  }

  call<T>(run: (server: SimulatedServer) => T): Promise<T> {
    if (!this.link.isUp) return Promise.reject(new ConnectionLost("not connected"));
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        if (this.#pending.delete(call)) act();
      };
      const call: PendingCall = {
        reject: (error) => settle(() => reject(error)),
        send: () => {
          const server = this.#server;
          this.link.send((isAnswerable) => {
            let answer: () => void;
            try {
              if (server.redis.refusal !== undefined) throw new ReplyError(server.redis.refusal);
              const reply = run(server);
              answer = () => resolve(reply);
            } catch (error) {
              answer = () => reject(error);
            }
            if (isAnswerable) this.link.push(() => settle(answer));
          });
        },
      };
      this.#pending.add(call);
      call.send();
    });
  }

  #isResent(): boolean {
    return this.#resend > 0 && this.#random.chance(this.#resend);
  }
}

/** A subscriber's connection: channels are wanted by the client, and listened to once the server has them. */
export class SubscriberLane {
  readonly link: SimulatedLink;
  readonly address: SimulatedAddress;
  readonly #context: PortContext;
  readonly #onMessage: (channel: string, text: string) => void;
  readonly #wanted: Set<string> = new Set();
  /** Lanes whose messages are lost though the connection stands. */
  readonly #muted: Set<number> = new Set();
  /**
   * The registration at the server is bound to one connection; an older one is dead though the server may not know yet. An object, not a
   * function: a closure kept in a field outlives every scavenge with all that it reaches (Node 20), which here is the whole process.
   */
  #subscriber: Subscriber | undefined;
  /** Turns that are taken up by what came before: what comes now is not seen before they are over. */
  #turnsTaken = 0;
  /** The one at the other end. */
  #server: SimulatedServer;

  constructor(context: PortContext, events: { onUp(): void; onDown(): void; onMessage(channel: string, text: string): void }) {
    const { address } = context;
    this.#context = context;
    this.address = address;
    this.#server = address.master;
    this.#onMessage = events.onMessage;
    this.link = new SimulatedLink(context.time, context.random, context.weather, {
      isReachable: () => !address.isAway,
      onUp: () => {
        this.#server = address.reach(this.link);
        this.#subscriber = { hear: (channel, text) => this.link.push(() => this.#receive(channel, text), true) };
        events.onUp();
      },
      onDown: () => {
        this.drop();
        events.onDown();
      },
    });
  }

  get wanted(): readonly string[] {
    return [...this.#wanted];
  }

  /** Loses what comes in a lane, without a word, as a subscription does that the server has forgotten. */
  mute(lane: number): void {
    this.#muted.add(lane);
  }

  unmute(): void {
    this.#muted.clear();
  }

  /** Has messages sent that nobody understands. */
  flood(messages: number): void {
    const [channel] = this.#wanted;
    if (channel === undefined) return;
    for (let count = 0; count < messages; count += 1) this.link.push(() => this.#receiveGibberish(channel));
  }

  want(channels: readonly string[]): void {
    for (const channel of channels) this.#wanted.add(channel);
  }

  unwant(channels: readonly string[]): void {
    for (const channel of channels) {
      this.#wanted.delete(channel);
      if (this.#subscriber) this.#server.redis.unsubscribe(channel, this.#subscriber);
    }
  }

  /** Asks the server for channels and calls back when it has acknowledged them. */
  subscribe(channels: readonly string[], onAcknowledged: () => void): void {
    const subscriber = this.#subscriber;
    const { redis } = this.#server;
    if (!subscriber || !this.link.isUp) return;
    this.link.send((isAnswerable) => {
      if (!isAnswerable || subscriber !== this.#subscriber) return;
      for (const channel of channels) redis.subscribe(channel, subscriber);
      this.link.push(onAcknowledged);
    }, false);
  }

  drop(): void {
    const subscriber = this.#subscriber;
    this.#subscriber = undefined;
    if (!subscriber) return;
    for (const channel of this.#wanted) this.#server.redis.unsubscribe(channel, subscriber);
  }

  #receive(channel: string, text: string): void {
    if (this.#muted.size > 0 && this.#muted.has(laneOf(channel) ?? 0)) return;
    this.#onMessage(channel, text);
    // What waits behind a flood may never be seen: then the bound of staleness is what is promised.
    if (this.#turnsTaken === 0) this.#context.onDelivery(channel, text);
  }

  #receiveGibberish(channel: string): void {
    this.#onMessage(channel, GIBBERISH);
    // One more than messages: what waits between two of them may begin a turn that the second one ends.
    if (this.#turnsTaken === 0) this.#turnsTaken = 1;
    this.#turnsTaken += 1;
    if (this.#turnsTaken === 2) this.#endTurn();
  }

  #endTurn(): void {
    this.#context.clock.setTimer(() => {
      this.#turnsTaken -= 1;
      if (this.#turnsTaken > 0) this.#endTurn();
    }, 0);
  }
}
