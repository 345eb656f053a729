-- tally: hits that a web process refused itself, and samples of hits, brought to the usage of their minute.
--
-- KEYS[1] usage   prefix  …{b}:u:            (see decide.lua)
-- KEYS[2] samples prefix  …{b}:hs:           + minute: hash "subject|route|outcome" -> address, newline, agent
-- KEYS[3] done    string           …{b}:done:<batch>: there once the batch is, for a sender that heard no reply
-- ARGV  1 seconds for which a minute that is over may still be added to
--       2 now (Unix microseconds; "" = the store's clock)
--       then, each: minute, "subject|route|outcome", n, sample ("" = none)
--
-- What comes too late for its minute, because the store was away, counts in the present one.

if not redis.call('SET', KEYS[3], 1, 'NX', 'EX', 3600) then
  return
end
local sec = ARGV[2] == '' and tonumber(redis.call('TIME')[1]) or math.floor(tonumber(ARGV[2]) / 1000000)
local present = math.floor(sec / 60)
local oldest = math.floor((sec - tonumber(ARGV[1])) / 60)
for i = 3, #ARGV, 4 do
  local minute = tonumber(ARGV[i])
  if minute < oldest or minute > present then
    minute = present
  end
  local usage, samples = KEYS[1] .. minute, KEYS[2] .. minute
  if tonumber(ARGV[i + 2]) > 0 then
    redis.call('HINCRBY', usage, ARGV[i + 1], ARGV[i + 2])
    redis.call('EXPIRE', usage, 604800)
  end
  if ARGV[i + 3] ~= '' then
    redis.call('HSETNX', samples, ARGV[i + 1], ARGV[i + 3])
    redis.call('EXPIRE', samples, 604800)
  end
end
