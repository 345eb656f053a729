-- reset: staff set counters of a subject back, or take leases of it back.
--
-- What enforces is set back, and only that: what was counted in a minute's usage stays, and so do the books. The
-- same reset (id, and what it is of) done twice is done once, and answered as it was then; one that found nothing
-- is forgotten.
--
-- KEYS[1] state   hash    …{b}:s:<subject>  (see decide.lua); here also
--     z   the last reset: its id with what it is of, and what was replied, joined by "|"
--     zm  when the minute's count was last set back, zd the day's (Unix ms): a charge from before isn't given back
-- KEYS[2] leases  zset    …{b}:f:<subject>
-- KEYS[3] bucket  hash    …{b}:t
-- ARGV  1 id of the reset   2 "1": the minute's count   3 "1": the day's   4 "1": strikes, and the refusals of a
--       minute that is to be judged yet   5 lease to take back ("" = none, "*" = all)
--       6 now (Unix microseconds; "" = the store's clock)
--
-- Reply  now (Unix s), minute count, day count, strikes (as of the last refusal), refusals, minute of the last
--     refusal (0 = none that warns), in flight: all of them as they were before; how many leases were taken back.
--     nil if the bucket is empty: build it and ask again.

local TTL = 172800
if redis.call('HEXISTS', KEYS[3], '*life') == 0 then
  return false
end
local state = redis.call('HMGET', KEYS[1], 'm', 'mc', 'mh', 'd', 'dc', 'k', 'lr', 'z')
local order = table.concat({ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]}, ',')
if state[8] then
  local words = {}
  for word in string.gmatch(state[8], '[^|]+') do
    words[#words + 1] = word
  end
  if words[1] == order then
    local reply = {}
    for i = 2, #words do
      reply[i - 1] = tonumber(words[i])
    end
    return reply
  end
end

local sec, ms
if ARGV[6] == '' then
  local time = redis.call('TIME')
  sec = tonumber(time[1])
  ms = sec * 1000 + math.floor(tonumber(time[2]) / 1000)
else
  ms = math.floor(tonumber(ARGV[6]) / 1000)
  sec = math.floor(ms / 1000)
end
local same_minute = tonumber(state[1]) == math.floor(sec / 60)
local same_day = tonumber(state[4]) == math.floor(sec / 86400)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ms)
local reply = {
  sec,
  same_minute and tonumber(state[2]) or 0,
  same_day and tonumber(state[5]) or 0,
  tonumber(state[6]) or 0,
  tonumber(state[3]) or 0,
  tonumber(state[7]) or 0,
  redis.call('ZCARD', KEYS[2]),
  0,
}
local found = false
if ARGV[2] == '1' and reply[2] > 0 then
  redis.call('HSET', KEYS[1], 'mc', 0, 'zm', ms)
  found = true
end
if ARGV[3] == '1' and reply[3] > 0 then
  redis.call('HSET', KEYS[1], 'dc', 0, 'zd', ms)
  found = true
end
if ARGV[4] == '1' and (reply[4] > 0 or reply[5] > 0 or reply[6] > 0) then
  redis.call('HSET', KEYS[1], 'k', 0, 'mh', 0, 'lr', 0)
  found = true
end
if ARGV[5] == '*' then
  reply[8] = redis.call('DEL', KEYS[2]) * reply[7]
elseif ARGV[5] ~= '' then
  reply[8] = redis.call('ZREM', KEYS[2], ARGV[5])
end
if not found and reply[8] == 0 then
  return reply
end
redis.call('HSET', KEYS[1], 'z', order .. '|' .. table.concat(reply, '|'))
if redis.call('TTL', KEYS[1]) < 0 then
  redis.call('EXPIRE', KEYS[1], TTL)
end
return reply
