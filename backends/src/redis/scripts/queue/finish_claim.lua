-- What becomes of an event: `ack`, `retry` at a time, or `bury`. 1 where it was there.
local event, deed, at, attempt, call = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local value = redis.call('HGET', P .. 'e', event)
if not value then return 0 end
even_when_full()
if not first_run(call) then return 1 end
if deed == 'ack' then
  redis.call('HDEL', P .. 'n', event)
elseif attempt ~= '' then
  local before = redis.call('HGET', P .. 'n', event)
  redis.call('HSET', P .. 'n', event, before and before .. ',' .. attempt or attempt)
end
redis.call('ZREM', P .. 'held', event)
if deed == 'retry' then
  redis.call('HSET', P .. 'at', event, at)
  redis.call('ZADD', P .. 'due', at, event)
  return 1
end
redis.call('ZREM', P .. 'due', event)
redis.call('ZREM', P .. 'age', event)
redis.call('HDEL', P .. 'at', event)
redis.call('HDEL', P .. 'e', event)
if deed == 'bury' then
  redis.call('HSET', P .. 'k', event, value)
  redis.call('ZADD', P .. 'dead', queued_at(value), event)
  redis.call('ZADD', P .. 'buried', int(now_ms), event)
end
return 1
