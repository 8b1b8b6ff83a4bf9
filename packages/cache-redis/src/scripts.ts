import { checkScript, luaPrelude } from "@larder/cache-core";

/*
 * What the tier does in Redis. Each script is one atomic step; the keys of one script lie in one slot (`KeySpace`).
 *
 * - Memory full: Redis refuses a script whose *first* write could need memory, and lets it finish once it has written anything
 *   (src/script.c, scriptVerifyOOM; the same in 6.2). So what must never fail begins with a DEL or HDEL, and what stores a value begins
 *   with the write that is refused. Measured: a refused SET leaves the old value in place, so who must not leave it there deletes.
 * - Late: what stores a value or takes a lease carries the caller's deadline in Redis time. A command whose caller has given up may
 *   still lie in a socket's buffer and arrive seconds later; it must not take effect then. What was under way and came in time is as old as
 *   when it was sent: counted from its arrival, it would live longer than it may (found by the simulator: `late-fill-lives-on.json`).
 * - A fence is deleted to move it on. Absent, it is equal to no token that anybody holds; the next reservation draws a new one.
 * - Who waits for a lease is woken by a plain PUBLISH, on a cluster as well: it is rare, and ioredis hears it on the connection that it has.
 * - The lease's value is `token:epoch:seq`, so that one taken before the namespace was cleared is known as void.
 */

/** A script by the name that a simulated server knows it by. */
export interface RedisScript {
  readonly name: string;
  readonly source: string;
}

/** `larder_get(key)`: the string under a key; what is of another type is none of ours and goes. */
const GET = `
local function larder_get(key)
  local held = redis.pcall('GET', key)
  if type(held) == 'table' then
    redis.call('DEL', key)
    return false
  end
  return held
end
`;

/** `larder_stamp(epoch, seq, now)`: the part of an entry that only the server knows. */
const STAMP = `
local function larder_stamp(epoch, seq, now)
  local numbers = struct.pack('>dd', tonumber(seq), now)
  return string.sub(epoch .. string.rep(' ', 32), 1, 32) .. numbers .. numbers
end
`;

/** `larder_head(key)`: an entry up to its body. */
const HEAD = `
local function larder_head(key)
  local head = redis.pcall('GETRANGE', key, 0, 99)
  if type(head) ~= 'string' then return '' end
  if #head < 100 then return head end
  local owner, tags = struct.unpack('>I4I4', head, 9)
  return redis.call('GETRANGE', key, 0, 99 + owner + tags)
end
`;

/**
 * `larder_tags_hold(first, taggedAt, epoch, seq)`: whether none of the tags in KEYS was invalidated after seq, as far as is known: a
 * record that is lost may have been newer. `larder_keep_tags(first, taggedAt, epoch, px)`: records for them that live as long as the
 * entry. One made anew says "not after taggedAt", which holds for every tag.
 */
const TAGS = `
local function larder_tag(key, epoch)
  local held = larder_get(key)
  local of, seq = string.match(held or '', '^(%x+):(%d+)$')
  return of == epoch and tonumber(seq) or nil
end
local function larder_tags_hold(first, taggedAt, epoch, seq)
  if seq >= taggedAt then return true end
  for index = first, #KEYS do
    local invalidatedAt = larder_tag(KEYS[index], epoch)
    if not invalidatedAt or invalidatedAt > seq then return false end
  end
  return true
end
local function larder_keep_tags(first, taggedAt, epoch, px)
  for index = first, #KEYS do
    if not larder_tag(KEYS[index], epoch) then
      redis.call('SET', KEYS[index], epoch .. ':' .. string.format('%.0f', taggedAt))
      if px ~= '' then redis.call('PEXPIRE', KEYS[index], px) end
    elseif px == '' then
      redis.call('PERSIST', KEYS[index])
    else
      local left = redis.call('PTTL', KEYS[index])
      if left >= 0 and left < tonumber(px) then redis.call('PEXPIRE', KEYS[index], px) end
    end
  end
end
`;

/**
 * `larder_store(key, entry, px, stamp)`: the entry, and then the stamp in the room that it leaves. Joining them in Lua first would copy the whole
 * entry and hash it, since Lua interns every string: measured, 2.4 us instead of 1.6 at 1 KB, 11 instead of 1.8 at 8 KB, 78 instead of 3.4 at
 * 64 KB, in which the server does nothing else.
 */
const STORE = `
local function larder_store(key, entry, px, stamp)
  if px == '' then redis.call('SET', key, entry) else redis.call('SET', key, entry, 'PX', px) end
  redis.call('SETRANGE', key, 36, stamp)
end
`;

/**
 * `larder_wake(lease, held, channel, outcome)`: ends a lease, if it is the one named, and tells those who wait. Who asked for it and heard no answer knows
 * its token alone, with which it begins.
 */
const WAKE = `
local function larder_wake(lease, held, channel, outcome)
  if held ~= '' and string.sub(larder_get(lease) or '', 1, #held) == held then
    redis.call('DEL', lease)
    redis.call('PUBLISH', channel, outcome)
  end
end
`;

/** KEYS record, log; ARGV as `checkScript`. */
export const check: RedisScript = { name: "check", source: checkScript };

/**
 * The record, from a server that takes writes: what entries are judged by while the bus has no proof. It asks no INFO, which is
 * dear, and judges no field. KEYS record. Answers epoch, seq, clearedAt, taggedAt, patterns.
 */
export const readRecord: RedisScript = {
  name: "read-record",
  source: `${luaPrelude.epoch}
local refusal = larder_touch(KEYS[1])
if refusal then return refusal end
return redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'clearedAt', 'taggedAt', 'patterns')
`,
};

/**
 * What a miss takes before the load. KEYS value, fence, lease, record, log; ARGV fresh epoch, deadline, fence nonce, fence ms,
 * lease token ('' = no lease wanted), lease ms. A lease that has longer yet than one is given is of before the server's clock was set back, and
 * void. Answers { epoch, seq, clearedAt, taggedAt, patterns, now, fence, lease, holder, ms that the
 * lease has left, value }, or 'late'.
 */
export const reserve: RedisScript = {
  name: "reserve",
  source: `${luaPrelude.epoch}${luaPrelude.now}${GET}
local now = larder_now()
if now > tonumber(ARGV[2]) then return 'late' end
local epoch = larder_epoch(KEYS[4], KEYS[5], ARGV[1])
local state = redis.call('HMGET', KEYS[4], 'seq', 'clearedAt', 'taggedAt', 'patterns')
local fence = larder_get(KEYS[2])
if fence then
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
else
  fence = ARGV[3]
  redis.call('SET', KEYS[2], fence, 'PX', ARGV[4])
end
local lease, holder, left = 'none', '', 0
if ARGV[5] ~= '' then
  local held = larder_get(KEYS[3])
  local heldEpoch, heldSeq = string.match(held or '', '^%x+:(%x+):(%d+)$')
  left = redis.call('PTTL', KEYS[3])
  if heldEpoch == epoch and tonumber(heldSeq) >= tonumber(state[2]) and left >= 0 and left <= tonumber(ARGV[6]) then
    lease, holder = 'held', held
  else
    lease, holder, left = 'owned', ARGV[5] .. ':' .. epoch .. ':' .. state[1], tonumber(ARGV[6])
    redis.call('SET', KEYS[3], holder, 'PX', ARGV[6])
  end
end
return { epoch, state[1], state[2], state[3], state[4], string.format('%.0f', now), fence, lease, holder, left, larder_get(KEYS[1]) }
`,
};

/**
 * Stores a loaded value unless the key, one of its tags, a pattern or all was invalidated since the reservation. Patterns are not
 * matched here: one newer than the reservation refuses every fill, which costs a load and never serves what it dropped.
 * KEYS value, fence, lease, record, tags…; ARGV deadline, epoch, seq, fence, lease ('' = none), px ('' = never), entry,
 * wake channel, ms that the fence stays, when it was sent. Answers { 'stored' | 'rejected' | 'late', now }.
 */
export const fill: RedisScript = {
  name: "fill",
  source: `${luaPrelude.now}${GET}${STAMP}${TAGS}${STORE}${WAKE}
local now = larder_now()
if now > tonumber(ARGV[1]) then return { 'late', now } end
local epoch, seq = ARGV[2], tonumber(ARGV[3])
local state = redis.call('HMGET', KEYS[4], 'epoch', 'clearedAt', 'taggedAt', 'patterns')
local holds = state[1] == epoch and larder_get(KEYS[2]) == ARGV[4] and seq >= tonumber(state[2])
if holds and state[4] then
  local patterns = cjson.decode(state[4])
  holds = #patterns == 0 or seq >= patterns[#patterns][1]
end
holds = holds and larder_tags_hold(5, tonumber(state[3]), epoch, seq)
if holds then
  larder_store(KEYS[1], ARGV[7], ARGV[6], larder_stamp(epoch, seq, math.min(now, tonumber(ARGV[10]))))
  larder_keep_tags(5, tonumber(state[3]), epoch, ARGV[6])
  redis.call('PEXPIRE', KEYS[2], ARGV[9])
end
larder_wake(KEYS[3], ARGV[5], ARGV[8], holds and 'stored' or 'not-stored')
return { holds and 'stored' or 'rejected', string.format('%.0f', now) }
`,
};

/**
 * A new value in place of what is there, and of whatever is being loaded. With a body it is an invalidation that the others hear.
 * KEYS value, fence, lease, record, log, tags…; ARGV fresh epoch, deadline, px, entry, publish command, wake channel, body
 * ('' = tell nobody), channel, log length, when it was sent. Answers { epoch, seq, now }, or 'late'.
 */
export const replace: RedisScript = {
  name: "replace",
  source: `${luaPrelude.epoch}${luaPrelude.append}${luaPrelude.now}${GET}${STAMP}${TAGS}${STORE}
local now = larder_now()
if now > tonumber(ARGV[2]) then return 'late' end
local epoch, seq
if ARGV[7] ~= '' then
  epoch, seq = larder_append(KEYS[4], KEYS[5], ARGV[8], ARGV[5], ARGV[1], ARGV[9], ARGV[7])
else
  epoch = larder_epoch(KEYS[4], KEYS[5], ARGV[1])
  seq = redis.call('HGET', KEYS[4], 'seq')
end
larder_store(KEYS[1], ARGV[4], ARGV[3], larder_stamp(epoch, seq, math.min(now, tonumber(ARGV[10]))))
if #KEYS > 5 then larder_keep_tags(6, tonumber(redis.call('HGET', KEYS[4], 'taggedAt')), epoch, ARGV[3]) end
redis.call('DEL', KEYS[2])
if redis.call('DEL', KEYS[3]) == 1 then redis.call('PUBLISH', ARGV[6], 'stored') end
return { epoch, seq, string.format('%.0f', now) }
`,
};

/**
 * Drops a key for everyone. It has no deadline: taking effect late costs a miss, not taking effect costs a stale answer.
 * KEYS value, fence, lease, record, log; ARGV fresh epoch, publish command, channel, log length, body, wake channel.
 * Answers { epoch, seq, now }.
 */
export const invalidate: RedisScript = {
  name: "invalidate",
  source: `${luaPrelude.epoch}${luaPrelude.append}${luaPrelude.now}
redis.call('DEL', KEYS[1], KEYS[2])
if redis.call('DEL', KEYS[3]) == 1 then redis.call('PUBLISH', ARGV[6], 'not-stored') end
local epoch, seq = larder_append(KEYS[4], KEYS[5], ARGV[3], ARGV[2], ARGV[1], ARGV[4], ARGV[5])
return { epoch, seq, string.format('%.0f', larder_now()) }
`,
};

/**
 * An invalidation of a tag, a pattern or all, in one lane. KEYS record, log, a tag's own; ARGV fresh epoch, publish command, channel, log length,
 * body, kind, subject, tag's ms. Answers { epoch, seq, now }.
 */
export const mark: RedisScript = {
  name: "mark",
  source: `${luaPrelude.epoch}${luaPrelude.append}${luaPrelude.mark}${luaPrelude.now}
local refusal = larder_touch(KEYS[1])
if refusal then return refusal end
local epoch, seq = larder_append(KEYS[1], KEYS[2], ARGV[3], ARGV[2], ARGV[1], ARGV[4], ARGV[5])
larder_mark(KEYS[1], ARGV[6], ARGV[7], seq, KEYS[3], ARGV[8], epoch)
return { epoch, seq, string.format('%.0f', larder_now()) }
`,
};

/** Drops a key in this store alone. KEYS value, fence, lease, record, log; ARGV wake channel. Answers the record, now, head. */
export const drop: RedisScript = {
  name: "drop",
  source: `${luaPrelude.now}${HEAD}
local head = larder_head(KEYS[1])
redis.call('DEL', KEYS[1], KEYS[2])
if redis.call('DEL', KEYS[3]) == 1 then redis.call('PUBLISH', ARGV[1], 'not-stored') end
local state = redis.call('HMGET', KEYS[4], 'epoch', 'seq', 'clearedAt', 'taggedAt', 'patterns')
return { state[1], state[2], state[3], state[4], state[5], string.format('%.0f', larder_now()), head }
`,
};

/** The heads of entries, to be counted. KEYS record, values…. Answers the record, now, heads…. */
export const heads: RedisScript = {
  name: "heads",
  source: `${luaPrelude.now}${HEAD}
local state = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'clearedAt', 'taggedAt', 'patterns')
local found = { state[1], state[2], state[3], state[4], state[5], string.format('%.0f', larder_now()) }
for index = 2, #KEYS do found[index + 5] = larder_head(KEYS[index]) end
return found
`,
};

/** Gives a lease back. KEYS lease; ARGV lease, wake channel, outcome. */
export const release: RedisScript = {
  name: "release",
  source: `${GET}${WAKE}
larder_wake(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
return 1
`,
};

/** Prolongs a lease that is still ours. KEYS lease; ARGV lease, ms. Answers whether it was. */
export const renew: RedisScript = {
  name: "renew",
  source: `${GET}
if larder_get(KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
`,
};

/** Who holds a lease and for how long yet. KEYS lease. Answers { holder, ms }. */
export const probe: RedisScript = {
  name: "probe",
  source: `${GET}
return { larder_get(KEYS[1]) or '', redis.call('PTTL', KEYS[1]) }
`,
};

/**
 * Frees what no reader would take any more, and nothing that was stored meanwhile: judged and dropped in one step.
 * KEYS record, values…. Answers how many went.
 */
export const sweep: RedisScript = {
  name: "sweep",
  source: `
local state = redis.call('HMGET', KEYS[1], 'epoch', 'clearedAt')
local void = {}
for index = 2, #KEYS do
  local stamp = redis.pcall('GETRANGE', KEYS[index], 36, 75)
  local isLive = state[1] and type(stamp) == 'string' and #stamp == 40 and string.sub(stamp, 1, 32) == state[1]
  if not (isLive and struct.unpack('>d', stamp, 33) >= tonumber(state[2])) then void[#void + 1] = KEYS[index] end
end
return #void > 0 and redis.call('UNLINK', unpack(void)) or 0
`,
};

/** What somebody waits for who writes, or who misses. */
export const writeScripts: readonly RedisScript[] = [reserve, fill, replace, invalidate, mark, drop];
