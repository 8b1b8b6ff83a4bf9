// Buses that break the contract in one place each: the suite must refuse them, by the test of that place.
import {
  type InvalidationBus,
  type InvalidationChannel,
  type InvalidationListener,
  type InvalidationTarget,
  MemoryInvalidationBus,
  VersionRecord,
} from "@larder/cache-core";
import { expect, it } from "vitest";
import { describeBus } from "../src/describe-bus.ts";
import { failingTitles } from "./failing-titles.ts";

/** A bus whose every channel is changed as it is joined. */
class ChangedBus implements InvalidationBus {
  readonly #bus: MemoryInvalidationBus = new MemoryInvalidationBus();
  readonly originId: string = this.#bus.originId;

  join(namespace: string, listener: InvalidationListener): InvalidationChannel {
    return this.change(this.#bus.join(namespace, this.hear(listener)));
  }

  close(): void {
    this.#bus.close();
  }

  protected hear(listener: InvalidationListener): InvalidationListener {
    return listener;
  }

  protected change(channel: InvalidationChannel): InvalidationChannel {
    return channel;
  }
}

/** A listener that hears each target as `tell` has it. */
function hearingAs(listener: InvalidationListener, tell: (target: InvalidationTarget) => InvalidationTarget): InvalidationListener {
  return {
    onInvalidation: (invalidation) => listener.onInvalidation({ ...invalidation, target: tell(invalidation.target) }),
    onReset: (reason) => listener.onReset(reason),
    onProof: (provenAt) => listener.onProof(provenAt),
    onProofLost: () => listener.onProofLost?.(),
  };
}

class CountsOnly extends ChangedBus {
  protected override change(channel: InvalidationChannel): InvalidationChannel {
    const version = (): VersionRecord => {
      const { epoch = "", seq = 0 } = channel.version(0) ?? {};
      return new VersionRecord({ epoch, seq, clearedAt: 0, taggedAt: 0, patterns: [] });
    };
    return changed(channel, { version });
  }
}

class DropsAllByEach extends ChangedBus {
  protected override change(channel: InvalidationChannel): InvalidationChannel {
    const version = (): VersionRecord => {
      const { epoch = "", seq = 0 } = channel.version(0) ?? {};
      return new VersionRecord({ epoch, seq, clearedAt: seq + 1, taggedAt: 0, patterns: [] });
    };
    return changed(channel, { version });
  }
}

class ComposesTags extends ChangedBus {
  protected override hear(listener: InvalidationListener): InvalidationListener {
    return hearingAs(listener, (target) => (target.kind === "tag" ? { ...target, tag: target.tag.normalize("NFC") } : target));
  }
}

class WritesPatternsAsUtf8 extends ChangedBus {
  protected override hear(listener: InvalidationListener): InvalidationListener {
    const written = (text: string): string => Buffer.from(text, "utf8").toString("utf8");
    return hearingAs(listener, (target) => (target.kind === "pattern" ? { ...target, pattern: written(target.pattern) } : target));
  }
}

class LosesInSilenceWhenClosed extends ChangedBus {
  protected override change(channel: InvalidationChannel): InvalidationChannel {
    const { epoch, seq } = channel.version(0) as VersionRecord;
    let isLeft = false;
    return changed(channel, {
      invalidate: (target, call) =>
        channel.invalidate(target, call).catch((error: unknown) => {
          if (isLeft) throw error;
          return { epoch, seq };
        }),
      leave: () => {
        isLeft = true;
        channel.leave();
      },
    });
  }
}

class ProvesForEver extends ChangedBus {
  protected override hear(listener: InvalidationListener): InvalidationListener {
    const { onProofLost: _, ...heard } = hearingAs(listener, (target) => target);
    return heard;
  }
}

/** What a channel does, by an object of its own, with something changed. */
function changed(channel: InvalidationChannel, change: Partial<InvalidationChannel>): InvalidationChannel {
  return {
    get lastProofAt() {
      return channel.lastProofAt;
    },
    invalidate: (target, call) => channel.invalidate(target, call),
    encodeBody: (target) => channel.encodeBody(target),
    ready: () => channel.ready(),
    leave: () => channel.leave(),
    version: (lane) => channel.version(lane),
    ...change,
  };
}

/** Runs the suite over buses of a kind. @returns the titles of the tests that fail */
function failuresOf(Kind: typeof ChangedBus): Promise<string[]> {
  return failingTitles((testApi) =>
    describeBus("a kind of bus", {
      create: () => {
        const bus = new Kind();
        return { a: bus, b: bus };
      },
      lacks: [
        { capability: "cut", reason: "one process" },
        { capability: "forget", reason: "one process" },
      ],
      testApi,
    }),
  );
}

it("finds nothing in a sound bus", async () => {
  expect(await failuresOf(ChangedBus)).toEqual([]);
});

const BROKEN: ReadonlyArray<readonly [Kind: typeof ChangedBus, title: string]> = [
  [CountsOnly, "has a version that judges what was stored before an invalidation, here as there"],
  [DropsAllByEach, "has a version that judges what was stored before an invalidation, here as there"],
  [ComposesTags, "carries keys, tags and patterns as they are, whatever they contain"],
  [WritesPatternsAsUtf8, "carries keys, tags and patterns as they are, whatever they contain"],
  [LosesInSilenceWhenClosed, "leaves every channel when it is closed, once or twice, and takes no new one"],
  [ProvesForEver, "leaves every channel when it is closed, once or twice, and takes no new one"],
];

it.each(BROKEN.map(([Kind, title]) => [Kind.name, title, Kind] as const))(`refuses %s, by "%s"`, async (_name, title, Kind) => {
  expect(await failuresOf(Kind)).toEqual([title]);
});
