import type { GuardPolicy } from "./guard-policy.ts";
import type { SourcePulse } from "./pulse.ts";
import { pulseOf } from "./pulse.ts";
import type { QuarantineEntry } from "./quarantine.ts";
import type { ReadOutcome } from "./read-sources.ts";
import type { SourceLayer } from "./snapshot.ts";
import type { SyncState } from "./snapshot-store.ts";
import { steadyInstant } from "./steady-ages.ts";

/** What stays of sources with which a run is not configured. */
export interface AbsentSources {
  readonly layers: readonly SourceLayer[];
  readonly quarantine: readonly QuarantineEntry[];
  readonly pulses: readonly SourcePulse[];
  /** Sources whose time is over. */
  readonly forgotten: readonly string[];
}

function marked(layer: SourceLayer, absentAt: number): SourceLayer {
  const models = layer.models.map((model) => (model.vanishedAt === undefined ? { ...model, vanishedAt: absentAt } : model));
  return { ...layer, models };
}

/**
 * A run without a source that the store knows: somebody took it out of the configuration, or ran another selection by hand over the same
 * store. Dropping its layer would take all of its models from the catalog at once, unguarded. So it is what any group is that vanishes
 * as one: marked, ranked behind the sources that are asked, and served for the policy's time; the next run with the source takes it back.
 */
export function keepAbsentSources(outcomes: readonly ReadOutcome[], state: SyncState, policy: GuardPolicy, now: number): AbsentSources {
  const asked = new Set(outcomes.map(({ source }) => source.name));
  const layers: SourceLayer[] = [];
  const pulses: SourcePulse[] = [];
  const forgotten: string[] = [];
  for (const layer of state.content.layers) {
    const { source } = layer;
    if (asked.has(source)) continue;
    const pulse = pulseOf(state.pulse, source);
    const absentAt = steadyInstant(pulse.absentAt ?? now, pulse.absentSeenAt, now, policy.groupConfirmMs);
    if (now - absentAt >= policy.groupConfirmMs) {
      forgotten.push(source);
      continue;
    }
    layers.push(marked(layer, absentAt));
    pulses.push({ ...pulse, absentAt, absentSeenAt: now });
  }
  const kept = new Set(layers.map(({ source }) => source));
  return { layers, pulses, forgotten, quarantine: state.content.quarantine.filter((entry) => kept.has(entry.source)) };
}
