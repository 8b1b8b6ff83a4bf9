import { MemoryInvalidationBus } from "@larder/cache-core";
import { expect, it } from "vitest";
import { BusRecorder } from "../bus-recorder.ts";
import { watchBus } from "./watch-bus.ts";

it("tells whoever has joined through it that the bus was closed under it", async () => {
  const bus = watchBus(new MemoryInvalidationBus(), () => {});
  const heard = new BusRecorder();
  await bus.join("default", heard).ready();
  await bus.close();
  expect(heard.proofsLost).toBe(1);
});
