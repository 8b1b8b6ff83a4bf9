// A thread of the test of real threads: holds what its primary tells it to, and says what it has heard.
import { parentPort } from "node:worker_threads";
import { BusRecorder } from "@larder/cache-testing";
import { threadLink, WorkerInvalidationBus } from "../src/worker.ts";

if (!parentPort) throw new Error("this is a thread's program");
const primary = parentPort;
const bus = new WorkerInvalidationBus({ link: threadLink(primary), heartbeatMs: 40 });
const heard = new BusRecorder();
const channel = bus.join("n", heard);
await channel.ready();
primary.postMessage("ready");
await heard.until("an invalidation", () => heard.targets.length > 0);
channel.leave();
bus.close();
// Left alone with a bus that is closed, a thread ends by itself.
primary.postMessage(heard.targets);
