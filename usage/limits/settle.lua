-- settle: a request has ended. Returns its lease, and books a failure or takes an admission back.
--
-- Sent where no reply is read, so it must not fail: settling twice, or after the lease ran out, is nothing.
--
-- KEYS[1] state   hash    …{b}:s:<subject>  (see decide.lua)
-- KEYS[2] leases  zset    …{b}:f:<subject>
-- KEYS[3] usage   prefix  …{b}:u:           + minute: hash "subject|route|outcome" -> n
-- ARGV  1 lease id   2 subject   3 route
--       4 how it ended: "" well; "failed", the answer was an error; "refused", the client was refused after all,
--         for want of this script's elder brother's reply: charge and booking are undone
--       5 a lease's life (ms): its expiry less this is when it was charged
--       6 now (Unix microseconds; "" = the store's clock)

local BOOKED_AFTER = 4 -- seconds: a minute that ended longer ago may be in the books already

local expiry = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not expiry then
  return
end
redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[4] == '' then
  return
end
local sec
if ARGV[6] == '' then
  sec = tonumber(redis.call('TIME')[1])
else
  sec = math.floor(tonumber(ARGV[6]) / 1000000)
end
local booked = ARGV[2] .. '|' .. ARGV[3] .. '|'
if ARGV[4] == 'failed' then
  local usage = KEYS[3] .. math.floor(sec / 60)
  if redis.call('HINCRBY', usage, booked .. 'failed', 1) == 1 then
    redis.call('EXPIRE', usage, 604800)
  end
  return
end
-- Most come right behind the decision; if the store was away, some later. A window that has ended is nobody's
-- loss.
local charged_ms = tonumber(expiry) - tonumber(ARGV[5])
local charged = math.floor(charged_ms / 1000)
local minute, day = math.floor(charged / 60), math.floor(charged / 86400)
-- What staff have set back since (reset.lua) is given back already.
local state = redis.call('HMGET', KEYS[1], 'm', 'd', 'zm', 'zd')
if tonumber(state[1]) == minute and charged_ms > (tonumber(state[3]) or -1) then
  redis.call('HINCRBY', KEYS[1], 'mc', -1)
end
if tonumber(state[2]) == day and charged_ms > (tonumber(state[4]) or -1) then
  redis.call('HINCRBY', KEYS[1], 'dc', -1)
end
if sec < minute * 60 + 60 + BOOKED_AFTER then
  redis.call('HINCRBY', KEYS[3] .. minute, booked .. 'admitted', -1)
end
