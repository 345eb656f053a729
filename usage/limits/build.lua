-- build: give an empty bucket what SQL remembers of its subjects, and then its life.
--
-- Called once for each part of a large bucket, and a last time to bring it to life. Two processes may build the
-- same bucket: both write the same, and whoever comes after it has its life changes nothing. A builder whose
-- earlier parts are gone, because the store was emptied once more meanwhile, is told to begin anew.
--
-- KEYS[1] bucket  hash    …{b}:t             (see decide.lua); here also "*parts:<life>" -> how many are there
-- KEYS[2…] states hashes  …{b}:s:<subject>
-- ARGV  1 the life it will have   2 how many parts came before   3 "last", or "" if more are to come
--       4 number of pairs of fields of the bucket, then these: name, revision
--       then for each state, 10 words: escalation tier, end of its block, nothing strikes before, clean since,
--       version, revision of the key (0 = none is due), day, charged in it, the staff's order that it carries
--       out ("" = none), seconds to keep it
--
-- Reply  1, 0 if the bucket lives already, or -1 if earlier parts are gone.

if redis.call('HEXISTS', KEYS[1], '*life') == 1 then
  return 0
end
local parts = '*parts:' .. ARGV[1]
if tonumber(redis.call('HGET', KEYS[1], parts) or 0) ~= tonumber(ARGV[2]) then
  return -1
end
local PLACE = '>I6I6I6I6I6' -- see decide.lua
local at = 5
for _ = 1, tonumber(ARGV[4]) do
  -- Newer ones may have been announced since.
  if tonumber(ARGV[at + 1]) > tonumber(redis.call('HGET', KEYS[1], ARGV[at]) or 0) then
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  end
  at = at + 2
end
for i = 2, #KEYS do
  local key = KEYS[i]
  local kept = redis.call('HMGET', key, 'l', 'r', 'd')
  local version = kept[1] and select(5, struct.unpack(PLACE, kept[1])) or 0
  if tonumber(ARGV[at + 4]) > version then
    local place = struct.pack(PLACE, tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]),
      tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]))
    redis.call('HSET', key, 'l', place, 'p', ARGV[at + 8], 'pv', ARGV[at + 4],
      'k', 0, 'mh', 0, 'lr', 0)
  end
  if tonumber(ARGV[at + 5]) > (tonumber(kept[2]) or 0) then
    redis.call('HSET', key, 'r', ARGV[at + 5])
  end
  if tonumber(ARGV[at + 7]) > 0 and kept[3] ~= ARGV[at + 6] then
    redis.call('HSET', key, 'd', ARGV[at + 6], 'dc', ARGV[at + 7])
  end
  if redis.call('EXISTS', key) == 1 then
    redis.call('EXPIRE', key, ARGV[at + 9])
  end
  at = at + 10
end
if ARGV[3] == 'last' then
  redis.call('HDEL', KEYS[1], parts)
  redis.call('HSET', KEYS[1], '*life', ARGV[1])
else
  redis.call('HINCRBY', KEYS[1], parts, 1)
end
redis.call('EXPIRE', KEYS[1], 2592000)
return 1
