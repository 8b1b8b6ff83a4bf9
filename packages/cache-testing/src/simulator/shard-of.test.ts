import { KeySpace } from "@larder/cache-core";
import { expect, it } from "vitest";
import { shardOf } from "./shard-of.ts";

it("keeps all of a lane on one shard, and deals lanes out in turn", () => {
  const space = new KeySpace({ namespace: "n", lanes: 4 });
  for (let lane = 0; lane < 4; lane += 1)
    for (const name of [space.record(lane), space.log(lane), space.channel(lane), space.tag(lane, "red")])
      expect(shardOf(name, 2)).toBe(lane % 2);
  expect(shardOf(space.record(3), 1)).toBe(0);
});
