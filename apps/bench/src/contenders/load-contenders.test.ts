import { expect, it } from "vitest";
import { type LoadedPeer, type Peers, PeerUnavailable } from "../peers.ts";
import { installContenders } from "./load-contenders.ts";
import { larder } from "./read-through-larder.ts";
import { readThroughPeers } from "./read-through-peers.ts";

/** Peers that are all installed, of which one package cannot be imported: its files are not all there any more, or it asks for another Node. */
const without = (broken: string): Peers => ({
  load: async (name) => ({
    version: "1.0.0",
    folder: "",
    import: async (specifier: string): ReturnType<LoadedPeer["import"]> => {
      if (specifier === broken) throw new PeerUnavailable(name, "cannot be imported: ERR_MODULE_NOT_FOUND", "run again");
      return {};
    },
  }),
});

it.each([
  ["bentocache", "bentocache", 1],
  ["what stands beside some of them", "ioredis", 3],
])("leaves out who cannot be imported, with the reason, and goes on with the others: %s", async (_, broken, many) => {
  const { installed, unavailable } = await installContenders([larder, ...readThroughPeers], without(broken));
  expect(installed).toHaveLength(1 + readThroughPeers.length - many);
  expect(unavailable).toHaveLength(many);
  expect(unavailable[0]).toMatchObject({ contender: "bentocache", why: "cannot be imported: ERR_MODULE_NOT_FOUND", install: "run again" });
});
