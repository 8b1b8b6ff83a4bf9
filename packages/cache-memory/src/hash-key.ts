/** Keys up to this length are hashed whole; of longer ones the two ends and places in between. */
const WHOLE_LENGTH = 16;
/** Characters taken from the end of a longer key, where digests and ids stand. */
const TAIL = 8;
/** Places looked at in the rest of a longer key, evenly spread: 2 ** 2. */
const SAMPLES = 4;

/**
 * 32 bits of hash for the policy: which counters of the sketch, which shard, which sample. V8 keeps its own hash of a string to itself,
 * so this one reads at most 16 characters. Long keys that differ nowhere else share their frequency, which costs hit ratio and never a wrong
 * answer: entries are always found by the whole key.
 */
export function hashKey(key: string): number {
  const length = key.length;
  let hash = length;
  let at = 0;
  if (length > WHOLE_LENGTH) {
    for (let sample = 0; sample < SAMPLES; sample += 1) {
      const place = ((length - TAIL) * sample) >>> 2;
      hash = Math.imul(hash ^ key.charCodeAt(place), 0x01000193);
    }
    at = length - TAIL;
  }
  for (; at < length; at += 1) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return mixHash(hash);
}

/** Spreads every bit over all others (lowbias32). */
export function mixHash(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return (mixed ^ (mixed >>> 15)) | 0;
}
