import { CacheError, checkOptions, type OptionNames, systemClock, systemRandom } from "@larder/cache-core";
import { PORT_BUS_OPTIONS, type PortBusOptions, PortInvalidationBus } from "./port-bus.ts";
import { ipcLink, type WorkerLink } from "./worker-link.ts";
import { WorkerPort } from "./worker-port.ts";

/** How a worker's bus is made. */
export interface WorkerInvalidationBusOptions extends PortBusOptions {
  /** The way to the `WorkerBusHub`. @default this process's IPC channel, as `child_process.fork` and `node:cluster` make it */
  readonly link?: WorkerLink;
}

const OPTIONS: OptionNames<WorkerInvalidationBusOptions> = { ...PORT_BUS_OPTIONS, link: true };

function defaultLink(): WorkerLink {
  if (process.send) return ipcLink(process);
  throw new CacheError("ERR_CACHE_INVALID_OPTION", "link must be given: this process has no IPC channel to a primary");
}

/** Invalidations between the worker processes, or threads, of one machine, through a `WorkerBusHub` in their primary. Needs no Redis. */
export class WorkerInvalidationBus extends PortInvalidationBus {
  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION when an option is out of range, or there is no way to a primary */
  constructor(options: WorkerInvalidationBusOptions = {}) {
    checkOptions(options, OPTIONS);
    const { link = defaultLink(), clock = systemClock, random = systemRandom } = options;
    super(new WorkerPort(link, clock, random), options);
  }
}
