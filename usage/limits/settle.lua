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
--       5 now (Unix microseconds; "" = the store's clock)

if redis.call('ZREM', KEYS[2], ARGV[1]) == 0 or ARGV[4] == '' then
  return
end
local sec
if ARGV[5] == '' then
  sec = tonumber(redis.call('TIME')[1])
else
  sec = math.floor(tonumber(ARGV[5]) / 1000000)
end
local minute = math.floor(sec / 60)
local usage = KEYS[3] .. minute
local booked = ARGV[2] .. '|' .. ARGV[3] .. '|'
if ARGV[4] == 'failed' then
  if redis.call('HINCRBY', usage, booked .. 'failed', 1) == 1 then
    redis.call('EXPIRE', usage, 604800)
  end
  return
end
-- Runs right behind the decision, so it is the same minute, or one that has ended and is nobody's loss.
local state = redis.call('HMGET', KEYS[1], 'm', 'd')
if tonumber(state[1]) == minute then
  redis.call('HINCRBY', KEYS[1], 'mc', -1)
  redis.call('HINCRBY', usage, booked .. 'admitted', -1)
end
if tonumber(state[2]) == math.floor(sec / 86400) then
  redis.call('HINCRBY', KEYS[1], 'dc', -1)
end
