import type { SimulatedLink } from "./simulated-link.ts";
import { READ_ONLY, type SimulatedRedis, type Snapshot } from "./simulated-redis.ts";
import type { SimulatedScripts } from "./simulated-scripts.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** A server and its scripts. */
export interface SimulatedServer {
  readonly redis: SimulatedRedis;
  readonly scripts: SimulatedScripts;
}

/** Which connections stay with a master that was demoted. */
export interface Stay {
  readonly server: SimulatedServer;
  /** Whether they find it again when they connect anew: a name that still resolves to it. Else they find the new master. */
  readonly isSticky: boolean;
}

/** How a demoted master follows the new one. Virtual milliseconds. */
export interface Following {
  /** Until it has copied all data; `Infinity` = it never does, and answers as of before. */
  readonly afterMs: number;
  /** By how much it lags from then on. */
  readonly lagMs: number;
}

/**
 * Where clients find a server. One master stands behind it, and after a demotion another one: the former answers those who have stayed with it,
 * takes no writes, and follows the new master or is cut off from it.
 */
export class SimulatedAddress {
  /** All that have stood behind it, the present master last. */
  readonly servers: SimulatedServer[];
  /** Whether nobody can connect. */
  isAway = false;
  readonly #time: VirtualTime;
  readonly #create: () => SimulatedServer;
  readonly #stays: Map<SimulatedLink, Stay> = new Map();

  constructor(time: VirtualTime, create: () => SimulatedServer) {
    this.#time = time;
    this.#create = create;
    this.servers = [create()];
  }

  get master(): SimulatedServer {
    return this.servers.at(-1) as SimulatedServer;
  }

  /** The server that a connection reaches which is made now. */
  reach(link: SimulatedLink): SimulatedServer {
    if (this.#stays.size === 0) return this.master;
    const stay = this.#stays.get(link);
    if (stay?.isSticky) return stay.server;
    this.#stays.delete(link);
    return this.master;
  }

  /**
   * Another server becomes master, with the data of a snapshot. The former takes no writes from now on.
   * @param stays connections that stay with the former @returns the former
   */
  demote(snapshot: Snapshot, stays: readonly SimulatedLink[], isSticky: boolean, following: Following): SimulatedServer {
    const former = this.master;
    const heir = this.#create();
    this.servers.push(heir);
    heir.redis.succeed(former.redis, snapshot);
    former.redis.writeRefusal = READ_ONLY;
    for (const link of stays) this.#stays.set(link, { server: former, isSticky });
    if (following.afterMs < Infinity) this.#time.schedule(following.afterMs, () => this.#follow(former.redis, heir.redis, following.lagMs));
    return former;
  }

  /** A former master is gone. @returns the connections that were still with it */
  retire(former: SimulatedServer): readonly SimulatedLink[] {
    const left = [...this.#stays].filter(([, { server }]) => server === former).map(([link]) => link);
    for (const link of left) this.#stays.delete(link);
    return left;
  }

  /** Copies all data, and from then on what each script has changed and published, in order. */
  #follow(former: SimulatedRedis, heir: SimulatedRedis, lagMs: number): void {
    former.load(heir.snapshot());
    heir.onChange = (snapshot, messages) =>
      void this.#time.schedule(lagMs, () => {
        former.load(snapshot);
        for (const { channel, text } of messages) former.push(channel, text);
      });
  }
}
