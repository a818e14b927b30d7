-- A dead letter waits again, with the `attempts` that it is to have; an event that waits is due at once.
-- 1 and 0: it waited; 1 and 1: it was dead; 0 and 0: it is not there.
local event, attempts = ARGV[1], ARGV[2]
local value = redis.call('HGET', P .. 'k', event)
if value then
  redis.call('HDEL', P .. 'k', event)
  redis.call('ZREM', P .. 'dead', event)
  redis.call('ZREM', P .. 'buried', event)
  redis.call('HSET', P .. 'e', event, value)
  redis.call('HSET', P .. 'n', event, attempts)
  redis.call('ZADD', P .. 'age', queued_at(value), event)
elseif redis.call('HEXISTS', P .. 'e', event) == 0 then
  return {0, 0}
elseif redis.call('ZSCORE', P .. 'held', event) then
  return {1, 0}
end
redis.call('HSET', P .. 'at', event, int(now_ms))
redis.call('ZADD', P .. 'due', int(now_ms), event)
return {1, value and 1 or 0}
