-- settle: a request has ended. Returns its lease and books a failure.
--
-- Sent where no reply is read, so it must not fail: settling twice, or after the lease ran out, is nothing.
--
-- KEYS[1] leases  zset    …{b}:f:<subject>
-- KEYS[2] usage   prefix  …{b}:u:           + minute: hash "subject|route|outcome" -> n
-- ARGV  1 lease id   2 subject   3 route   4 "1" if the answer was an error, else ""
--       5 now (Unix microseconds; "" = the store's clock)

if redis.call('ZREM', KEYS[1], ARGV[1]) == 1 and ARGV[4] ~= '' then
  local sec = ARGV[5] == '' and redis.call('TIME')[1] or math.floor(tonumber(ARGV[5]) / 1000000)
  local usage = KEYS[2] .. math.floor(tonumber(sec) / 60)
  if redis.call('HINCRBY', usage, ARGV[2] .. '|' .. ARGV[3] .. '|failed', 1) == 1 then
    redis.call('EXPIRE', usage, 604800)
  end
end
