import type { BusPort, BusPortEvents, BusScript } from "../src/bus-port.ts";
import { LaneLog } from "../src/lane-log.ts";

/** A port to a server in memory for each lane of one namespace, of which one may be dead. Messages arrive with the answers. */
export class LanesRig implements BusPort {
  readonly publishCommand = "PUBLISH";
  /** How often each lane has taken an invalidation. */
  readonly appended: number[];
  /** The lane that does not answer. */
  dead: number | undefined;
  readonly #logs: LaneLog[];
  #events: BusPortEvents | undefined;

  constructor(lanes: number) {
    this.appended = Array.from({ length: lanes }, () => 0);
    this.#logs = this.appended.map((_, lane) => new LaneLog(`epoch${lane}`));
  }

  open(events: BusPortEvents): void {
    this.#events = events;
  }

  subscribe(): void {
    queueMicrotask(() => this.#events?.onSubscribed());
  }

  unsubscribe(): void {}
  reconnectSubscriber(): void {}
  close(): void {}

  async run(script: BusScript, [record = ""]: readonly string[], args: readonly string[]): Promise<unknown> {
    const lane = Number(/\.(\d+)\}/.exec(record)?.[1]);
    const log = this.#logs[lane];
    if (log === undefined || lane === this.dead) throw new Error("the shard is down");
    if (script.name === "append") {
      this.appended[lane] = (this.appended[lane] ?? 0) + 1;
      return log.append(args[4] as string, args[5] as string, args[6] as string, 1_000);
    }
    if (script.name === "replay") return log.page(Number(args[0]), Number(args[1]));
    const state = log.state();
    this.#events?.onMessage(args[2] as string, `${args[3]} ${state[0]} ${state[1]}`);
    return [...state, 0];
  }
}
