-- Which events are due: id, due time, …; claims that have lapsed are due as they were before.
local most = ARGV[1]
for _, event in ipairs(redis.call('ZRANGEBYSCORE', P .. 'held', '-inf', int(now_ms), 'LIMIT', 0, most)) do
  redis.call('ZREM', P .. 'held', event)
  local at = redis.call('HGET', P .. 'at', event)
  if at then redis.call('ZADD', P .. 'due', at, event) end
end
return redis.call('ZRANGEBYSCORE', P .. 'due', '-inf', int(now_ms), 'WITHSCORES', 'LIMIT', 0, most)
