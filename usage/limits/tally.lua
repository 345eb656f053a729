-- tally: hits that a web process refused itself, and samples of hits, brought to the usage of their minute.
--
-- KEYS[1] usage   prefix  …{b}:u:            (see decide.lua)
-- KEYS[2] samples prefix  …{b}:hs:           + minute: hash "subject|route|outcome" -> lines: address, agent, and
--     of a request that should have waited: seconds that it was told to, milliseconds that it did. Of two
--     samples the one that waited for less stays, and one that came too early before one that didn't.
-- KEYS[3] done    string           …{b}:done:<batch>: there once the batch is, for a sender that heard no reply
-- ARGV  1 seconds for which a minute that is over may still be added to
--       2 now (Unix microseconds; "" = the store's clock)
--       then, each: minute, "subject|route|outcome", n, sample ("" = none)
--
-- What comes too late for its minute, because the store was away, counts in the present one. A sample alone is
-- of no use there: what it is a sample of was counted in time.

if not redis.call('SET', KEYS[3], 1, 'NX', 'EX', 3600) then
  return
end
local sec = ARGV[2] == '' and tonumber(redis.call('TIME')[1]) or math.floor(tonumber(ARGV[2]) / 1000000)
local function waited(sample)
  return tonumber(string.match(sample, '\n%d+\n(%d+)$')) or math.huge
end
local present = math.floor(sec / 60)
local oldest = math.floor((sec - tonumber(ARGV[1])) / 60)
for i = 3, #ARGV, 4 do
  local minute, hits, sample = tonumber(ARGV[i]), tonumber(ARGV[i + 2]), ARGV[i + 3]
  if minute < oldest or minute > present then
    minute = present
    sample = hits > 0 and sample or ''
  end
  local usage, samples = KEYS[1] .. minute, KEYS[2] .. minute
  if hits > 0 then
    redis.call('HINCRBY', usage, ARGV[i + 1], hits)
    redis.call('EXPIRE', usage, 604800)
  end
  if sample ~= '' then
    local kept = redis.call('HGET', samples, ARGV[i + 1])
    if not kept or waited(sample) < waited(kept) then
      redis.call('HSET', samples, ARGV[i + 1], sample)
    end
    redis.call('EXPIRE', samples, 604800)
  end
end
