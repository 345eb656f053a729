-- decide: one request of one subject, checked against every limit, then charged to every window.
--
-- All or nothing: a request that any limit refuses charges no window. Integers only. The clock is the
-- store's own, so that every web process agrees on when a window ends.
--
-- KEYS[1] state   hash    …{b}:s:<subject>
--     m  minute it counts in (Unix minutes)    mc charged in it    mh minute- and day-refusals in it
--     d  day it counts in (Unix days)          dc charged in it
--     lr minute of the last minute- or day-refusal
--     r  newest revision of the key, where one was announced
--     e  escalation tier    u its end (Unix seconds)    k strikes       (the ladder's; read here)
-- KEYS[2] leases  zset    …{b}:f:<subject>   lease id -> expiry (Unix milliseconds)
-- KEYS[3] tiers   hash    …{b}:t             tier slug -> newest announced revision
-- KEYS[4] usage   prefix  …{b}:u:            + minute: hash "subject|route|outcome" -> n
--     (a prefix, because only the store's clock knows the minute; its tag keeps it in the same slot)
--
-- ARGV  1 subject   2 minute limit   3 day limit   4 concurrent limit   (-1 = none)
--       5 the caller's revision of the key   6 tier slug   7 the caller's revision of the tier
--       8 a lease's life (ms)
--       9 route   10 lease id ("" = look only: nothing is charged, leased or booked)
--      11 now (Unix microseconds; "" = the store's clock; tests drive it)
--
-- Reply  1 verdict (0 admitted, 1 minute, 2 day, 3 concurrent, 9 stale: reload the limits and ask again)
--        2 now (Unix s)  3 minute count  4 day count  5 in flight
--        6 escalation tier  7 its end (Unix s, 0 = none)  8 strikes

local time = ARGV[11]
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

local state = redis.call('HMGET', KEYS[1], 'm', 'mc', 'mh', 'd', 'dc', 'lr', 'r', 'e', 'u', 'k')
local tier_revision = redis.call('HGET', KEYS[3], ARGV[6])
if (state[7] and tonumber(state[7]) > tonumber(ARGV[5]))
  or (tier_revision and tonumber(tier_revision) > tonumber(ARGV[7])) then
  return {9, sec, 0, 0, 0, 0, 0, 0}
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
  replayed = ARGV[10] ~= '' and redis.call('ZSCORE', KEYS[2], ARGV[10]) ~= false
end

local minute_limit, day_limit, concurrent_limit = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local verdict = 0
if replayed then
  verdict = 0 -- its lease says that it was admitted and charged before
elseif day_limit >= 0 and day_count >= day_limit then
  verdict = 2 -- before the minute: waiting for the minute's end would not help
elseif minute_limit >= 0 and minute_count >= minute_limit then
  verdict = 1
elseif concurrent_limit >= 0 and in_flight >= concurrent_limit then
  verdict = 3
end

if ARGV[10] ~= '' and not replayed then
  local outcome
  if verdict == 3 then
    outcome = 'concurrent'
  else
    if verdict == 0 then
      outcome = 'admitted'
      minute_count = minute_count + 1
      day_count = day_count + 1
      in_flight = in_flight + 1
      redis.call('ZADD', KEYS[2], now_ms + tonumber(ARGV[8]), ARGV[10])
      redis.call('PEXPIRE', KEYS[2], ARGV[8])
    else
      outcome = verdict == 1 and 'minute' or 'day'
      minute_hits = minute_hits + 1
      last_refusal = minute
    end
    redis.call('HSET', KEYS[1], 'm', minute, 'mc', minute_count, 'mh', minute_hits,
      'd', day, 'dc', day_count, 'lr', last_refusal)
    if not same_minute then
      redis.call('EXPIRE', KEYS[1], 172800) -- two days: longer than the longest window
    end
  end
  local usage = KEYS[4] .. minute
  if redis.call('HINCRBY', usage, ARGV[1] .. '|' .. ARGV[9] .. '|' .. outcome, 1) == 1 then
    redis.call('EXPIRE', usage, 604800) -- a week for the worker to book it
  end
end

local escalation = tonumber(state[8]) or 0
if escalation == 0 and last_refusal > 0 and minute - last_refusal <= 10 then
  escalation = 1 -- warned; ten clean minutes clear it
end
return {verdict, sec, minute_count, day_count, in_flight,
  escalation, tonumber(state[9]) or 0, tonumber(state[10]) or 0}
