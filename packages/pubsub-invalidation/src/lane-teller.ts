import { type DecodedBody, encodeBody, type Invalidation } from "@larder/cache-core";
import type { LaneContext } from "./lane-context.ts";
import type { LaneOrder } from "./lane-order.ts";

/** Whether an invalidation was signed as it should be. */
export function isGenuine({ signer, keySpace }: LaneContext, { origin, target, signature }: DecodedBody): boolean {
  return signer === undefined || signer.verify(keySpace.namespace, encodeBody(origin, target), signature);
}

/** Marks an invalidation in the record, and has dropped what it names unless it is our own. */
export function tell(context: LaneContext, order: LaneOrder, { epoch, seq, origin, target }: Invalidation): void {
  if (epoch === order.epoch) order.record?.apply(seq, target);
  if (origin !== context.originId) context.onInvalidation({ epoch, seq, origin, target });
}

/** Counts an invalidation that is new. */
export function count({ counters, originId }: LaneContext, { origin }: Invalidation): void {
  counters[origin === originId ? "ownEchoes" : "messages"] += 1;
}
