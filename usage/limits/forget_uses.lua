-- forget_uses: last uses of secrets that SQL has by now.
--
-- KEYS[1] used    zset    …{b}:used     secret -> start of the minute of its last use (Unix s)
-- ARGV  each: secret, the use that is written down. One that was used again since stays.

for i = 1, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
