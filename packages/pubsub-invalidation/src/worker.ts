export type { WorkerInvalidationBusOptions } from "./worker-bus.ts";
export { WorkerInvalidationBus } from "./worker-bus.ts";
export { WorkerBusHub } from "./worker-hub.ts";
export type { IpcEnd, ThreadEnd, WorkerLink } from "./worker-link.ts";
export { ipcLink, threadLink } from "./worker-link.ts";
