import type { ModelListing } from "./model-listing.ts";

/** Milliseconds by which a server's clock may differ from ours and its instant still be that of the request. */
const ABOUT_NOW_MS = 86_400_000;

/**
 * The listing with the release that is known, where it tells another one of about now: vLLM, llama.cpp and SGLang tell the time of each request as
 * that of the release, and each run would make a new version of a list that has not changed. What is true of it is told the day after, too.
 */
export function withSteadyRelease(offered: ModelListing, known: ModelListing | undefined, now: number): ModelListing {
  if (known?.releasedAt === undefined || offered.releasedAt === undefined || offered.releasedAt === known.releasedAt) return offered;
  return Math.abs(now - offered.releasedAt) < ABOUT_NOW_MS ? { ...offered, releasedAt: known.releasedAt } : offered;
}
