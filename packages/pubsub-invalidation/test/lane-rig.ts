import { encodeBody, encodeMessage, type InvalidationTarget, KeySpace, type RandomSource, type ResetReason } from "@larder/cache-core";
import { ManualClock, settle } from "@larder/cache-testing";
import type { BodySigner } from "../src/body-signer.ts";
import type { BusPort, BusPortEvents, BusScript } from "../src/bus-port.ts";
import { createBusCounters } from "../src/bus-stats.ts";
import { Lane } from "../src/lane.ts";
import { LaneLog } from "../src/lane-log.ts";

interface Call {
  readonly script: BusScript["name"];
  readonly answer: () => void;
  readonly fail: () => void;
}

/** Random tokens that count up, so that failures read well. */
export function countingRandom(): RandomSource {
  let made = 0;
  return {
    next: () => 0.5,
    token: () => {
      made += 1;
      return `token${made}`;
    },
  };
}

/** A lane before a server in memory, whose every message and reply waits until the test lets it through, or loses it. */
export class LaneRig implements BusPort {
  readonly publishCommand = "PUBLISH";
  readonly clock: ManualClock = new ManualClock();
  readonly random: RandomSource = countingRandom();
  readonly counters: ReturnType<typeof createBusCounters> = createBusCounters();
  readonly lane: Lane;
  /** Messages on their way to the lane, in order. */
  readonly messages: Array<{ readonly channel: string; readonly text: string }> = [];
  /** Calls that wait for their answer, in order; what the server does, it does when the call is made. */
  readonly calls: Call[] = [];
  readonly told: string[] = [];
  readonly resets: ResetReason[] = [];
  readonly proofs: number[] = [];
  /** Told at each proof, reset and invalidation, for invariants. */
  onEvent: (kind: "told" | "reset" | "proof", detail: string | number) => void = () => {};
  server: LaneLog;
  #epochs = 0;

  constructor(signer?: BodySigner) {
    this.server = this.#newServer();
    this.lane = new Lane({
      port: this,
      clock: this.clock,
      random: this.random,
      counters: this.counters,
      keySpace: new KeySpace({ namespace: "rig" }),
      lane: 0,
      originId: "self",
      signer,
      timeoutMs: 1_000,
      onInvalidation: ({ target }) => {
        const name = target.kind === "key" ? target.key : target.kind;
        this.told.push(name);
        this.onEvent("told", name);
      },
      onReset: (reason) => {
        this.resets.push(reason);
        this.onEvent("reset", reason);
      },
      onProof: () => {
        this.proofs.push(this.lane.lastProofAt);
        this.onEvent("proof", this.lane.lastProofAt);
      },
      onBeatWanted: () => void this.lane.beat(),
      onRedisTime: () => {},
    });
    this.subscribed();
    this.calls.length = this.messages.length = 0;
  }

  /** The subscription stands, anew after the first time: what was on its way is lost, and a heartbeat is sent. */
  subscribed(): void {
    this.messages.length = 0;
    this.lane.onSubscribed();
  }

  open(_events: BusPortEvents): void {}
  subscribe(): void {}
  unsubscribe(): void {}
  reconnectSubscriber(): void {}
  close(): void {}

  run(script: BusScript, _keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const reply = this.#execute(script.name, args);
    return new Promise((resolve, reject) => {
      this.calls.push({ script: script.name, answer: () => resolve(reply), fail: () => reject(new Error("lost")) });
    });
  }

  /** Another process invalidates: the message is on its way. */
  invalidate(key: string, origin = "other", body: string = encodeBody(origin, { kind: "key", key })): void {
    const [epoch, seq] = this.server.append(body, "key" satisfies InvalidationTarget["kind"], key, 1_000_000);
    this.messages.push({ channel: this.lane.channel, text: encodeMessage(epoch, seq, body) });
  }

  /** The record is lost: the server goes on in a new epoch. */
  forget(): void {
    this.server = this.#newServer();
  }

  /** Lets the next message arrive; `isLost`: loses it. */
  deliver(isLost = false): void {
    const message = this.messages.shift();
    if (!message || isLost) return;
    this.hear(message.channel, message.text);
  }

  /** A message arrives that was not on its way. */
  hear(channel: string, text: string): void {
    if (channel === this.lane.heartbeatChannel) this.lane.onHeartbeat(text);
    else this.lane.onMessage(text);
  }

  /** Answers the next call; `isLost`: it fails. */
  async answer(isLost = false): Promise<void> {
    const call = this.calls.shift();
    if (isLost) call?.fail();
    else call?.answer();
    await settle();
  }

  /** Lets everything on its way arrive, until nothing is. */
  async settleAll(): Promise<void> {
    for (let step = 0; step < 10_000 && this.messages.length + this.calls.length > 0; step += 1) {
      while (this.messages.length > 0) this.deliver();
      await this.answer();
    }
  }

  /** A heartbeat, all the way round. */
  async heartbeat(): Promise<void> {
    void this.lane.beat();
    await this.settleAll();
  }

  #newServer(): LaneLog {
    this.#epochs += 1;
    return new LaneLog(`epoch${this.#epochs}`);
  }

  #execute(script: BusScript["name"], args: readonly string[]): unknown {
    if (script === "replay") return this.server.page(Number(args[0]), Number(args[1]));
    const state = this.server.state();
    this.messages.push({ channel: args[2] as string, text: `${args[3]} ${state[0]} ${state[1]}` });
    return [...state, this.clock.wallNow()];
  }
}
