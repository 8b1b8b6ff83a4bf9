import { checkScript, luaPrelude } from "@larder/cache-core";
import type { BusScript } from "./bus-port.ts";

/** The lane's state, and a heartbeat published beside it. Text and arguments: `checkScript` of cache-core. */
export const check: BusScript = { name: "check", text: checkScript };

/**
 * An invalidation without a second tier: next seq, log, publication, and the mark that later readers of the record need. There may be a tier on this
 * server all the same, other processes' or one that its own cannot reach: of a key, it gives up what it has.
 * KEYS record, log, and those of a tag its own, of a key value and fence; ARGV fresh epoch, publish command, channel, log length, body, kind, subject, tag's time to
 * live in ms. Answers { epoch, seq }.
 *
 * The touch comes first because Redis refuses a script whose *first* write could need memory when memory
 * is full, and lets it finish once it has written anything (src/script.c, scriptVerifyOOM): an invalidation must never fail for that.
 */
export const append: BusScript = {
  name: "append",
  text: `${luaPrelude.epoch}${luaPrelude.append}${luaPrelude.mark}
local refusal = larder_touch(KEYS[1])
if refusal then return refusal end
if KEYS[3] then redis.call('DEL', unpack(KEYS, 3)) end
local epoch, seq = larder_append(KEYS[1], KEYS[2], ARGV[3], ARGV[2], ARGV[1], ARGV[4], ARGV[5])
larder_mark(KEYS[1], ARGV[6], ARGV[7], seq, KEYS[3], ARGV[8], epoch)
return { epoch, seq }
`,
};

/**
 * A page of the log. KEYS record, log; ARGV first seq wanted, entries at most.
 * Answers { epoch, seq, entries }, epoch false when the record is lost. One script, so that the entries belong to that epoch. What is no
 * record is a lost one, what is no log an empty one.
 */
export const replay: BusScript = {
  name: "replay",
  text: `
local state = redis.pcall('HMGET', KEYS[1], 'epoch', 'seq')
local entries = redis.pcall('XRANGE', KEYS[2], ARGV[1] .. '-0', '+', 'COUNT', ARGV[2])
return { state[1] or false, state[2] or false, entries.err and {} or entries }
`,
};
