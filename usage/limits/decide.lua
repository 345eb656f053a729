-- decide: one request of one subject, checked against the ladder and every limit, then charged to every window.
--
-- All or nothing: a request that is refused charges no window. Integers only. The clock is the store's own, so
-- that every web process agrees on when a window ends. The ladder's rules are written once more in Python,
-- with their reasons: usage/escalation/ladder.py.
--
-- KEYS[1] state   hash    …{b}:s:<subject>
--     m  minute it counts in (Unix minutes)    mc charged in it    mh refusals in it that may make it a strike
--     d  day it counts in (Unix days)          dc charged in it
--     lr minute of the last minute- or day-refusal
--     r  newest revision of the key, where one was announced
--     k  strikes as of lr, while there are any
--     l  its place on the ladder, once it has left the ground: five numbers of six bytes, as PLACE packs them:
--        escalation tier (2 to 5, or back on 0), end of its block (Unix s; 0 = none, or until a person ends it),
--        nothing strikes before (Unix s), clean since (Unix s), version (grows with each change of tier)
--        (One field, because a field that isn't there costs ordinary subjects a search for each.)
-- KEYS[2] leases  zset    …{b}:f:<subject>   lease id -> expiry (Unix milliseconds)
-- KEYS[3] bucket  hash    …{b}:t             tier slug -> newest announced revision, "*ladder" -> the same for
--     the ladder, "*life" -> an id that the bucket has from when it was built from SQL: without it nothing here
--     is known to be true
-- KEYS[4] usage   prefix  …{b}:u:            + minute: hash "subject|route|outcome" -> n
--     (a prefix, because only the store's clock knows the minute; its tag keeps it in the same slot)
-- KEYS[5] changes stream  …{b}:ev            an entry for each change of a tier from 2 up, for the worker
--
-- ARGV  1 subject   2 minute limit   3 day limit   4 concurrent limit   (-1 = none)
--       5 the caller's revision of the key   6 tier slug   7 the caller's revision of the tier
--       8 a lease's life (ms)   9 the caller's revision of the ladder
--      10 the ladder's numbers, as `Ladder.numbers` packs them; taken apart only where they are needed
--      11 route   12 lease id ("" = look only: nothing is charged, leased, booked or moved)
--      13 now (Unix microseconds; "" = the store's clock; tests drive it)
--
-- Reply  1 verdict (0 admitted, 1 minute, 2 day, 3 concurrent, 4 blocked, 5 suspended,
--                   8 empty: build the bucket and ask again, 9 stale: reload the limits and ask again)
--        2 now (Unix s)  3 minute count  4 day count  5 in flight
--        6 escalation tier  7 its end (Unix s, 0 = none)  8 strikes  9 id of the change that this request caused

local TTL = 172800 -- two days: longer than the longest window
local CHANGES_KEPT, CHANGES_TTL = 10000, 2592000
local SUSPENDED_TTL = 7776000
local USAGE_TTL = 604800 -- a week for the worker to book it
local PLACE = '>I6I6I6I6I6'
local LADDER = '>I4I4I4I4I4I4I4I4I4I4I4I4I4I4'

local time = ARGV[13]
local sec, usec
if time == '' then
  time = redis.call('TIME')
  sec, usec = tonumber(time[1]), tonumber(time[2])
else
  time = tonumber(time)
  sec = math.floor(time / 1000000)
  usec = time - sec * 1000000
end
local now_ms = sec * 1000 + math.floor(usec / 1000)
local minute = math.floor(sec / 60)
local day = math.floor(sec / 86400)

local bucket = redis.call('HMGET', KEYS[3], ARGV[6], '*ladder', '*life')
if not bucket[3] then
  return {8, sec, 0, 0, 0, 0, 0, 0, ''}
end
local state = redis.call('HMGET', KEYS[1], 'm', 'mc', 'mh', 'd', 'dc', 'lr', 'r', 'k', 'l')
if (state[7] and tonumber(state[7]) > tonumber(ARGV[5]))
  or (bucket[1] and tonumber(bucket[1]) > tonumber(ARGV[7]))
  or (bucket[2] and tonumber(bucket[2]) > tonumber(ARGV[9])) then
  return {9, sec, 0, 0, 0, 0, 0, 0, ''}
end

local same_minute = tonumber(state[1]) == minute
local same_day = tonumber(state[4]) == day
local minute_count = same_minute and tonumber(state[2]) or 0
local minute_hits = same_minute and tonumber(state[3]) or 0
local day_count = same_day and tonumber(state[5]) or 0
local last_refusal = tonumber(state[6]) or 0

local in_flight = redis.call('ZCARD', KEYS[2])
local replayed = false
if in_flight > 0 then
  if redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now_ms) > 0 then
    in_flight = redis.call('ZCARD', KEYS[2])
  end
  replayed = ARGV[12] ~= '' and redis.call('ZSCORE', KEYS[2], ARGV[12]) ~= false
end
local charged = ARGV[12] ~= '' and not replayed

local minute_limit, day_limit, concurrent_limit = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local kept_strikes = tonumber(state[8]) or 0 -- as of the last refusal
local strikes = 0                            -- as of now
local escalation, block_end, grace_end, clean_since, version = 0, 0, 0, 0, 0
if state[9] then
  escalation, block_end, grace_end, clean_since, version = struct.unpack(PLACE, state[9])
end
local blocked = escalation == 5 or (escalation >= 2 and sec < block_end)
local change = ''

-- The ladder. Most requests come from the ground, where there is nothing to do.
local refusals, percent, forgive, warned, decay, grace, highest
if escalation > 0 or last_refusal > 0 then
  local s2, b2, s3, b3, s4, b4, s5
  refusals, percent, forgive, warned, decay, grace, highest, s2, b2, s3, b3, s4, b4, s5 =
    struct.unpack(LADDER, ARGV[10])

  -- A minute is judged when it is over.
  local hits_before = not same_minute and tonumber(state[3]) or 0
  if hits_before >= refusals and hits_before * 100 >= minute_limit * percent then
    kept_strikes = kept_strikes + 1
  end
  -- (Not fewer than none: a clock may be set back.)
  strikes = math.max(0, kept_strikes - math.max(0, math.floor((minute - last_refusal) / forgive)))

  local cause, before
  if escalation >= 2 and not blocked then
    clean_since = math.max(clean_since, block_end)
    local drops = math.floor((sec - clean_since) / decay)
    if drops > 0 then
      cause, before = 'decay', escalation
      escalation = escalation - drops
      if escalation < 2 then
        escalation = 0
      end
      clean_since = clean_since + drops * decay
      block_end = 0
    end
  end

  -- A block begins with a request, not by the clock: who stops in time is not blocked.
  local above = math.min(math.max(escalation, 1) + 1, highest)
  local needed = above == 2 and s2 or above == 3 and s3 or above == 4 and s4 or s5
  if strikes > 0 and charged and not blocked and above >= 2 and strikes >= needed then
    cause, before = 'strikes', before or math.max(escalation, 1)
    escalation, blocked = above, true
    block_end = escalation == 5 and 0 or sec + (above == 2 and b2 or above == 3 and b3 or b4)
    clean_since = math.max(sec, block_end)
    grace_end = block_end == 0 and 0 or block_end + grace
  end

  if cause and charged then
    version = math.max(version + 1, sec) -- goes on growing even if the store forgets it
    local judged = cause == 'strikes'
    redis.call('HSET', KEYS[1], 'l',
      struct.pack(PLACE, escalation, block_end, grace_end, clean_since, version))
    if judged then
      redis.call('HSET', KEYS[1], 'k', 0, 'mh', 0)
    end
    redis.call('EXPIRE', KEYS[1], escalation == 5 and SUSPENDED_TTL
      or math.max(0, block_end - sec) + escalation * decay + TTL)
    change = bucket[3] .. ':' .. redis.call('XADD', KEYS[5], 'MAXLEN', '~', CHANGES_KEPT, '*',
      'life', bucket[3], 'subject', ARGV[1], 'cause', cause, 'before', before, 'after', escalation,
      'until', block_end, 'strikes', judged and strikes or 0, 'minute', judged and state[1] or 0,
      'served', judged and state[2] or 0, 'refused', judged and state[3] or 0, 'limit', minute_limit,
      'route', ARGV[11], 'at', sec, 'version', version, 'clean_since', clean_since,
      'grace_until', grace_end)
    redis.call('EXPIRE', KEYS[5], CHANGES_TTL)
    if judged then
      strikes, kept_strikes = 0, 0
    end
  end

  if escalation == 0 and strikes == 0 and minute - last_refusal > warned then
    last_refusal, kept_strikes = 0, 0 -- on the ground again
  end
end

local verdict = 0
if replayed then
  verdict = 0 -- its lease says that it was admitted and charged before
elseif escalation == 5 then
  verdict = 5
elseif blocked then
  verdict = 4
elseif day_limit >= 0 and day_count >= day_limit then
  verdict = 2 -- before the minute: waiting for the minute's end would not help
elseif minute_limit >= 0 and minute_count >= minute_limit then
  verdict = 1
elseif concurrent_limit >= 0 and in_flight >= concurrent_limit then
  verdict = 3
end

if charged then
  local outcome
  if verdict == 5 then
    outcome = 'suspended'
  elseif verdict == 4 then
    outcome = escalation == 2 and 'cooldown' or 'blocked'
  elseif verdict == 3 then
    outcome = 'concurrent'
  else
    if verdict == 0 then
      outcome = 'admitted'
      minute_count = minute_count + 1
      day_count = day_count + 1
      in_flight = in_flight + 1
      redis.call('ZADD', KEYS[2], now_ms + tonumber(ARGV[8]), ARGV[12])
      redis.call('PEXPIRE', KEYS[2], ARGV[8])
    else
      outcome = verdict == 1 and 'minute' or 'day'
      if sec >= grace_end then
        minute_hits = minute_hits + 1
      end
      last_refusal, kept_strikes = minute, strikes
      if escalation >= 2 then
        redis.call('HSET', KEYS[1], 'l',
          struct.pack(PLACE, escalation, block_end, grace_end, sec, version))
      end
    end
    if same_minute and verdict == 0 and last_refusal == (tonumber(state[6]) or 0) then
      redis.call('HSET', KEYS[1], 'mc', minute_count, 'dc', day_count) -- the others are as they were
    else
      redis.call('HSET', KEYS[1], 'm', minute, 'mc', minute_count, 'mh', minute_hits,
        'd', day, 'dc', day_count, 'lr', last_refusal)
    end
    if kept_strikes ~= (tonumber(state[8]) or 0) then
      redis.call('HSET', KEYS[1], 'k', kept_strikes)
    end
    if not same_minute then
      redis.call('EXPIRE', KEYS[1], escalation == 0 and TTL or escalation * decay + TTL)
    end
  end
  local usage = KEYS[4] .. minute
  if redis.call('HINCRBY', usage, ARGV[1] .. '|' .. ARGV[11] .. '|' .. outcome, 1) == 1 then
    redis.call('EXPIRE', usage, USAGE_TTL)
  end
end

if last_refusal > 0 then
  if not refusals then
    refusals, percent, forgive, warned = struct.unpack(LADDER, ARGV[10])
  end
  if minute_hits >= refusals and minute_hits * 100 >= minute_limit * percent then
    strikes = strikes + 1 -- this minute will be one
  end
  if escalation == 0 and minute - last_refusal <= warned then
    escalation = 1 -- warned; so many clean minutes clear it
  end
end
return {verdict, sec, minute_count, day_count, in_flight, escalation, block_end, strikes, change}
