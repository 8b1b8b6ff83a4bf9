/**
 * The latest of some instants that the machines of a fleet noted. One that lies further ahead of this clock than skew between machines
 * explains was noted by a clock that was wrong; as the latest it would win over all that comes after it until that time has come. Where
 * all are such, the earliest.
 */
export function latestPlausible(instants: readonly number[], now: number, maxSkewMs: number): number {
  const plausible = instants.filter((at) => at - now < maxSkewMs);
  return plausible.length > 0 ? Math.max(...plausible) : Math.min(...instants);
}
