// Shared stores that break the contract in one place each: the suite must refuse them, by the test of that place.
import type {
  BackendCall,
  FillOptions,
  FillOutcome,
  InvalidationTarget,
  LeaseOutcome,
  Replacement,
  Reservation,
  StoreEntry,
  Version,
} from "@larder/cache-core";
import { expect, it } from "vitest";
import { describeStore } from "../src/describe-store.ts";
import { ManualClock } from "../src/manual-clock.ts";
import { NaiveStore } from "../src/naive-store.ts";
import { failingTitles } from "./failing-titles.ts";

const TOO_LARGE = "x".repeat(20_000);

class Sound extends NaiveStore<unknown> {}

class StoresBehindInvalidations extends Sound {
  override async fill(reservation: Reservation<unknown>, value: unknown, options: FillOptions): Promise<FillOutcome> {
    return super.fill({ ...reservation, version: { ...reservation.version, seq: Infinity } }, value, options);
  }
}

class LosesTags extends Sound {
  override async fill(reservation: Reservation<unknown>, value: unknown, options: FillOptions): Promise<FillOutcome> {
    return super.fill(reservation, value, { ...options, tags: [] });
  }
}

class LosesTagsOfReplacements extends Sound {
  override async replace(key: string, value: unknown, options: FillOptions, call: BackendCall): Promise<Replacement> {
    return super.replace(key, value, { ...options, tags: [] }, call);
  }
}

class KeepsWhatIsReplaced extends Sound {
  override async replace(key: string, value: unknown, options: FillOptions, call: BackendCall): Promise<Replacement> {
    if (value !== TOO_LARGE) return super.replace(key, value, options, call);
    return { version: await super.invalidate({ kind: "key", key: "nobody's" }, call), isStored: false };
  }
}

class ReplacesByWhatIsNoValue extends Sound {
  override async replace(key: string, value: unknown, options: FillOptions, call: BackendCall): Promise<Replacement> {
    return super.replace(key, typeof value === "function" ? null : value, options, call);
  }
}

class LeasesToAll extends Sound {
  override async reserve(key: string, lease: boolean, call: BackendCall): Promise<Reservation<unknown> | undefined> {
    const reservation = await super.reserve(key, lease, call);
    return reservation?.lease === "held" ? { ...reservation, lease: "owned" } : reservation;
  }
}

class LeasesUnasked extends Sound {
  override reserve(key: string, _: boolean, call: BackendCall): Promise<Reservation<unknown> | undefined> {
    return super.reserve(key, true, call);
  }
}

class WakesAtOnce extends Sound {
  override async awaitFill(): Promise<LeaseOutcome> {
    return "stored";
  }
}

class HandsNothingOver extends Sound {
  override async reserve(key: string, lease: boolean, call: BackendCall): Promise<Reservation<unknown> | undefined> {
    const reservation = await super.reserve(key, lease, call);
    return reservation && { ...reservation, entry: undefined };
  }
}

/** Which leases are held, as it believes. */
const held: Set<string> = new Set();
class LeasesOutliveInvalidations extends Sound {
  override async reserve(key: string, lease: boolean, call: BackendCall): Promise<Reservation<unknown> | undefined> {
    const reservation = await super.reserve(key, lease, call);
    if (reservation?.lease !== "owned") return reservation;
    if (held.has(key)) return { ...reservation, lease: "held" };
    held.add(key);
    return reservation;
  }
  override async release(reservation: Reservation<unknown>, outcome: "not-stored" | "failed"): Promise<void> {
    held.delete(reservation.key);
    await super.release(reservation, outcome);
  }
  override close(): void {
    held.clear();
    super.close();
  }
}

class ServesStale extends Sound {
  override async get(key: string): Promise<unknown> {
    await super.get(key);
    return ((await super.lookup(key)) as { value?: unknown }).value;
  }
}

class ForgetsStale extends Sound {
  override async read(key: string, call: BackendCall): Promise<StoreEntry<unknown> | undefined> {
    const found = await super.read(key, call);
    return found && found.freshMs > 0 ? found : undefined;
  }
}

class TellsTheVersionOfNow extends Sound {
  override async read(key: string, call: BackendCall): Promise<StoreEntry<unknown> | undefined> {
    const found = await super.read(key, call);
    return found && { ...found, version: { ...found.version, seq: found.version.seq + 1 } };
  }
}

/** One whose invalidations are of something else. */
const meaning = (change: (target: InvalidationTarget) => InvalidationTarget): typeof Sound =>
  class extends Sound {
    override invalidate(target: InvalidationTarget, call: BackendCall): Promise<Version> {
      return super.invalidate(change(target), call);
    }
  };

class TellsTheVersionBefore extends Sound {
  override async invalidate(target: InvalidationTarget, call: BackendCall): Promise<Version> {
    const version = await super.invalidate(target, call);
    return { ...version, seq: version.seq - 1 };
  }
}

class DeletesNothing extends Sound {
  override async delete(): Promise<boolean> {
    return true;
  }
}

class ClearsNothing extends Sound {
  override async clear(): Promise<void> {}
}

/** Runs the suite over stores of a kind. @returns the titles of the tests that fail */
function failuresOf(Kind: typeof Sound, isShared = true): Promise<string[]> {
  const clock = new ManualClock();
  return failingTitles((testApi) =>
    describeStore("a kind of store", {
      create: () => {
        const a = new Kind({ clock, maxValueLength: 10_000 });
        return { a, b: new Kind({ clock, maxValueLength: 10_000 }, isShared ? a : undefined) };
      },
      advance: (ms) => clock.advance(ms),
      tooLarge: TOO_LARGE,
      testApi,
    }),
  );
}

it("finds nothing in a sound store", async () => {
  expect(await failuresOf(Sound)).toEqual([]);
});

it("refuses a store that is not shared", async () => {
  expect(await failuresOf(Sound, false)).toContain("has the new value for everybody, and refuses what was loaded before it");
});

const dropped = (by: string): string => `drops an entry with ${by}, and refuses what was loaded before`;
const KEPT = "keeps what was loaded for everybody: the value, its tags and the version from before the load";
const STALE = "keeps an entry past its time for stale policies, and not longer; only reads of them see it";
const LEASES = "gives the lease to one who asks for it, tells the others that it is held, and none to who does not ask";

const BROKEN: ReadonlyArray<readonly [what: string, Kind: typeof Sound, title: string]> = [
  ["fills behind invalidations", StoresBehindInvalidations, dropped("its key")],
  ["fills behind invalidations", StoresBehindInvalidations, "refuses a load of a key that was never there before it was invalidated"],
  ["tags that are lost", LosesTags, dropped("its tag")],
  ["tags of replacements that are lost", LosesTagsOfReplacements, "has the new value for everybody, and refuses what was loaded before it"],
  [
    "a former value that stays",
    KeepsWhatIsReplaced,
    "does not keep a value that is too large, and drops the former one by replacing it with one",
  ],
  ["a replacement by no value", ReplacesByWhatIsNoValue, "refuses a value that it cannot encode, and nothing has happened"],
  ["leases for all", LeasesToAll, LEASES],
  ["leases that nobody asked for", LeasesUnasked, LEASES],
  ["false news", WakesAtOnce, "wakes who waits when the lease is given back as failed, and gives it to who asks next"],
  ["entries that are not handed over", HandsNothingOver, "hands over what was stored between a read and its reservation"],
  [
    "leases that outlive invalidations",
    LeasesOutliveInvalidations,
    "ends a lease with the invalidation of its key: what is loaded under it will not be stored",
  ],
  ["stale values for who did not ask", ServesStale, STALE],
  ["no stale values for who did", ForgetsStale, STALE],
  ["versions of another time", TellsTheVersionOfNow, KEPT],
  [
    "versions from before",
    TellsTheVersionBefore,
    "answers an invalidation with the version after it: further on than any reservation from before",
  ],
  [
    "patterns taken by the letter",
    meaning((target) => (target.kind === "pattern" ? { kind: "key", key: target.pattern } : target)),
    dropped("a pattern of its key"),
  ],
  ["tags that mean all", meaning((target) => (target.kind === "tag" ? { kind: "all" } : target)), "leaves alone what was not meant"],
  ["all that means nothing", meaning((target) => (target.kind === "all" ? { kind: "key", key: "nobody's" } : target)), dropped("all")],
  ["deletes that drop nothing", DeletesNothing, dropped("a delete")],
  ["clears that drop nothing", ClearsNothing, dropped("a clear")],
];

it.each(BROKEN)("refuses %s", async (_, Kind, title) => {
  expect(await failuresOf(Kind)).toContain(title);
});
