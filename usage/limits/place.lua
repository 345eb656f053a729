-- place: staff put a subject somewhere on the ladder. Done twice with the same id, it is done once; and an order
-- that comes after one that was given later does nothing any more.
--
-- KEYS[1] state   hash     …{b}:s:<subject>  (see decide.lua); here also  p  id of the last such order
--     pv  version of the place in SQL when it came: it grows from order to order
-- KEYS[2] bucket  hash     …{b}:t
-- KEYS[3] changes stream   …{b}:ev
-- ARGV  1 subject   2 id of the order   3 cause   4 escalation tier   5 seconds of grace from now
--       6 version: that of the place which SQL knows, for this one to be newer than
--       7 seconds to keep the state   8 now (Unix microseconds; "" = the store's clock)
--
-- Reply  the new version, or the one given if nothing was to be done; nil if the bucket is empty: it may be in
--     building then, from SQL as it was before the order.

local life = redis.call('HGET', KEYS[2], '*life')
if not life then
  return false
end
local PLACE = '>I6I6I6I6I6'
local state = redis.call('HMGET', KEYS[1], 'l', 'p', 'pv')
local before, version = 0, 0
if state[1] then
  local _
  before, _, _, _, version = struct.unpack(PLACE, state[1])
end
if state[2] == ARGV[2] or (tonumber(state[3]) or -1) > tonumber(ARGV[6]) then
  -- Not the version that it has now: the changes since then are still to come.
  return tonumber(ARGV[6])
end
local sec = ARGV[8] == '' and tonumber(redis.call('TIME')[1]) or math.floor(tonumber(ARGV[8]) / 1000000)
local grace_until = tonumber(ARGV[5]) > 0 and sec + tonumber(ARGV[5]) or 0
version = math.max(version + 1, tonumber(ARGV[6]) + 1, sec)
redis.call('HSET', KEYS[1], 'k', 0, 'mh', 0, 'lr', 0, 'p', ARGV[2], 'pv', ARGV[6],
  'l', struct.pack(PLACE, tonumber(ARGV[4]), 0, grace_until, sec, version))
redis.call('EXPIRE', KEYS[1], ARGV[7])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', 10000, '*',
  'life', life, 'order', ARGV[2], 'subject', ARGV[1], 'cause', ARGV[3], 'before', before,
  'after', ARGV[4], 'until', 0, 'strikes', 0, 'minute', 0, 'served', 0, 'refused', 0, 'limit', -1,
  'route', '', 'at', sec, 'version', version, 'clean_since', sec, 'grace_until', grace_until)
redis.call('EXPIRE', KEYS[3], 2592000)
return version
