import fc from "fast-check";
import { Cluster, type Command as Command5, Redis } from "ioredis";
import { Command, Redis as Redis6 } from "ioredis-6";
import { describe, expect, it } from "vitest";
import { scriptCommandOf } from "./script-command.ts";

const argument = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.string(),
  fc.integer(),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
);

describe("a script command", () => {
  it("is the same bytes that ioredis would send", () => {
    const client = new Redis6({ lazyConnect: true });
    const ScriptCommand = scriptCommandOf(client as never) as unknown as typeof Command;
    fc.assert(
      fc.property(fc.array(argument, { maxLength: 20 }), (args) => {
        const own = new Command("evalsha", [...args]).toWritable({});
        expect(Buffer.from(new ScriptCommand("evalsha", [...args]).toWritable({})).equals(Buffer.from(own as string))).toBe(true);
      }),
    );
  });

  it("has its keys prefixed as the client would", () => {
    const client = new Redis({ lazyConnect: true, keyPrefix: "app:" });
    const command = new (scriptCommandOf(client) as typeof Command5)("evalsha", ["sha", 2, "one", "two", "other"], { keyPrefix: "app:" });
    expect(String(command.toWritable({}))).toBe(
      "*6\r\n$7\r\nevalsha\r\n$3\r\nsha\r\n$1\r\n2\r\n$7\r\napp:one\r\n$7\r\napp:two\r\n$5\r\nother\r\n",
    );
  });

  it("comes from the client's own class, which is made once", () => {
    const one = new Redis({ lazyConnect: true });
    const cluster = new Cluster([{ host: "127.0.0.1", port: 1 }], { lazyConnect: true });
    expect(scriptCommandOf(one)).toBe(scriptCommandOf(cluster));
    expect(scriptCommandOf(one)).not.toBe(scriptCommandOf(new Redis6({ lazyConnect: true }) as never));
    expect(scriptCommandOf({ callBuffer: async () => null } as never)).toBeUndefined();
  });
});
