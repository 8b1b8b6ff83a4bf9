import { type BackendCall, Budget, type InvalidationChannel, type InvalidationTarget, systemClock } from "@larder/cache-core";
import { BusRecorder } from "./bus-recorder.ts";
import type { BusPair, DescribeBusOptions, MissingBusCapability } from "./describe-bus-options.ts";
import { Suite } from "./suite.ts";
import { uniquePrefix } from "./unique-key.ts";

/** The target of one key. */
export const keyTarget = (name: string): InvalidationTarget => ({ kind: "key", key: name });

/** Two ends of a bus, one channel of one name on each, and what it heard. */
export interface BusWorld extends BusPair {
  readonly namespace: string;
  readonly heardByA: BusRecorder;
  readonly heardByB: BusRecorder;
  readonly channelA: InvalidationChannel;
  readonly channelB: InvalidationChannel;
}

/** What the parts of the bus suite are written with. Parts take its members out of it. */
export class BusSuite extends Suite<DescribeBusOptions> {
  /** The terms of one invalidation. */
  readonly call = (): BackendCall => ({ budget: new Budget(this.options.callMs ?? 2_000, systemClock) });

  /** Runs a test on a bus of its own, of which both channels are proven. */
  readonly withWorld = async (run: (world: BusWorld) => Promise<void>): Promise<void> => {
    const pair = await this.options.create();
    const namespace = uniquePrefix("bus");
    const [heardByA, heardByB] = [new BusRecorder(), new BusRecorder()];
    const channelA = pair.a.join(namespace, heardByA);
    const channelB = pair.b.join(namespace, heardByB);
    try {
      await Promise.all([channelA.ready(), channelB.ready()]);
      const { cut, heal, forget } = pair;
      await run({
        ...pair,
        ...(cut && { cut }),
        ...(heal && { heal }),
        ...(forget && { forget }),
        namespace,
        heardByA,
        heardByB,
        channelA,
        channelB,
      });
    } finally {
      await pair.a.close();
      await pair.b.close();
      await pair.dispose?.();
    }
  };

  /** Runs the test, or reports it as skipped under the declared reason. */
  readonly when = (capability: MissingBusCapability["capability"], title: string, run: (world: BusWorld) => Promise<void>): void => {
    const missing = this.options.lacks?.find((lack) => lack.capability === capability);
    if (missing) this.it.skip(`${title} (lacks ${capability}: ${missing.reason})`, () => {});
    else this.it(title, () => this.withWorld(run));
  };
}
