/**
 * Lua shared by the second tier's scripts and the bus's, because both write the same version record and log (layout: `KeySpace`).
 *
 * - The epoch is drawn by the caller (`fresh`), not in Lua, whose random numbers repeat.
 * - A new epoch empties the log, because stream ids begin again at 1.
 * - Everything here is deterministic but for TIME: Redis >= 5 replicates effects, not scripts.
 * - Numbers are formatted with %.0f: Lua turns 1e15 into "1e+15".
 * - A record or a log that somebody put something else in place of is made anew, as one that is lost.
 */

/**
 * `larder_touch(record)`: a write that changes nothing, before anything else. Gives the error of a server that takes no writes, as a replica
 * or a master without enough of them: others may be told of invalidations elsewhere, and what it answers proves nothing. One that cannot
 * save (MISCONF) is the right one all the same. Being the script's first write, it lets the rest finish when memory is full.
 * `larder_run()`: the server's run id, false where INFO is forbidden. `larder_epoch(record, log, fresh)`: the lane's epoch, made now when
 * the record is lost. A record is bound to its server from its first moment: one that no check had seen before a failover would pass for
 * the new server's own (found by the simulator).
 */
const EPOCH = `
local function larder_touch(record)
  local touched = redis.pcall('HDEL', record, 'none')
  if type(touched) ~= 'table' or not touched.err then return nil end
  if string.find(touched.err, 'WRONGTYPE', 1, true) then
    redis.call('DEL', record)
  elseif not string.find(touched.err, 'MISCONF', 1, true) then
    return touched
  end
end
local function larder_run()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or false
end
local function larder_epoch(record, log, fresh)
  local epoch = redis.call('HGET', record, 'epoch')
  if not epoch then
    redis.call('DEL', log)
    redis.call('HSET', record, 'epoch', fresh, 'seq', 0, 'clearedAt', 0, 'taggedAt', 0)
    redis.call('HDEL', record, 'patterns')
    local run = larder_run()
    if run then redis.call('HSET', record, 'run', run) end
    epoch = fresh
  end
  return epoch
end
`;

/**
 * `larder_append(record, log, channel, publish, fresh, limit, body)`: next seq, log entry, publication. Gives epoch and seq. A log that does not
 * take the entry is no log of ours: it begins anew, and who missed something finds that it does not reach back.
 */
const APPEND = `
local function larder_append(record, log, channel, publish, fresh, limit, body)
  local epoch = larder_epoch(record, log, fresh)
  local seq = string.format('%.0f', redis.call('HINCRBY', record, 'seq', 1))
  local added = redis.pcall('XADD', log, 'MAXLEN', '~', limit, seq .. '-0', 'b', body)
  if type(added) == 'table' then
    redis.call('DEL', log)
    redis.call('XADD', log, 'MAXLEN', '~', limit, seq .. '-0', 'b', body)
  end
  redis.call(publish, channel, '1 ' .. epoch .. ' ' .. seq .. ' ' .. body)
  return epoch, seq
end
`;

/** `larder_now()`: Redis time in milliseconds. */
const NOW = `
local function larder_now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
`;

/**
 * `larder_mark(record, kind, subject, seq, tagKey, tagMs, epoch)`: what an invalidation of all, a tag or a pattern leaves in the record. A pattern
 * stands there once, by its last place.
 */
const MARK = `
local function larder_mark(record, kind, subject, seq, tagKey, tagMs, epoch)
  if kind == 'all' then
    redis.call('HSET', record, 'clearedAt', seq)
    redis.call('HDEL', record, 'patterns')
  elseif kind == 'tag' then
    redis.call('HSET', record, 'taggedAt', seq)
    redis.call('SET', tagKey, epoch .. ':' .. seq, 'PX', tagMs)
  elseif kind == 'pattern' then
    local held = redis.call('HGET', record, 'patterns')
    local patterns = {}
    for _, pattern in ipairs(held and cjson.decode(held) or {}) do
      if pattern[2] ~= subject then patterns[#patterns + 1] = pattern end
    end
    if #patterns >= 32 then
      redis.call('HSET', record, 'clearedAt', patterns[16][1])
      for _ = 1, 16 do table.remove(patterns, 1) end
    end
    patterns[#patterns + 1] = { tonumber(seq), subject }
    redis.call('HSET', record, 'patterns', cjson.encode(patterns))
  end
end
`;

/**
 * The check of a lane: KEYS record, log; ARGV fresh, publish command, heartbeat channel ('' = tell nobody), nonce, and, where there is one, the
 * epoch that counts no more (`EpochTrail`): a new one takes its place. Answers { epoch, seq, clearedAt, taggedAt, patterns, Redis time in ms }.
 *
 * The epoch is bound to the server's run id. A restart from an old dump and a failover to a replica that lags both change it, so the
 * first one to check there moves the epoch, and what the lost tail of writes had invalidated can never be served again. Where INFO is
 * forbidden the lane trusts epoch and seq alone.
 */
const CHECK = `
local refusal = larder_touch(KEYS[1])
if refusal then return refusal end
local run = larder_run()
local held = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'seq', 'clearedAt', 'taggedAt', 'patterns')
local known = held[1]
local isWhole = pcall(function()
  assert(string.match(held[2], '^%w+$'))
  for field = 3, 5 do assert(string.match(held[field], '^%d+$') + 0 < 1e15) end
  for _, pattern in ipairs(cjson.decode(held[6] or '[]')) do assert(pattern[1] + #pattern[2]) end
end)
if run and known and known ~= run or not isWhole or held[2] == ARGV[5] then redis.call('DEL', KEYS[1]) end
local epoch = larder_epoch(KEYS[1], KEYS[2], ARGV[1])
if run and known ~= run then redis.call('HSET', KEYS[1], 'run', run) end
local state = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'clearedAt', 'taggedAt', 'patterns')
if ARGV[3] ~= '' then redis.call(ARGV[2], ARGV[3], ARGV[4] .. ' ' .. epoch .. ' ' .. state[2]) end
state[6] = string.format('%.0f', larder_now())
return state
`;

/** The check script, complete: EVAL it with the two keys of a lane. */
export const checkScript: string = EPOCH + NOW + CHECK;

/** The fragments, to be put in front of a script's own text. */
export const luaPrelude: Readonly<Record<"epoch" | "append" | "now" | "mark", string>> = {
  epoch: EPOCH,
  append: APPEND,
  now: NOW,
  mark: MARK,
};
