-- What is due: id, due time, …; before it, in how many ms more will be (empty: nothing waits).
-- Claims that have lapsed are due as they were before.
local most = ARGV[1]
for _, event in ipairs(redis.call('ZRANGEBYSCORE', P .. 'held', '-inf', int(now_ms), 'LIMIT', 0, most)) do
  redis.call('ZREM', P .. 'held', event)
  local at = redis.call('HGET', P .. 'at', event)
  if at then redis.call('ZADD', P .. 'due', at, event) end
end
local later = redis.call('ZRANGEBYSCORE', P .. 'due', '(' .. int(now_ms), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local lapses = redis.call('ZRANGE', P .. 'held', 0, 0, 'WITHSCORES')
local at = math.min(tonumber(later[2] or '1e300'), tonumber(lapses[2] or '1e300'))
local due = redis.call('ZRANGEBYSCORE', P .. 'due', '-inf', int(now_ms), 'WITHSCORES', 'LIMIT', 0, most)
return {at < 1e300 and int(math.max(0, at - now_ms)) or '', due}
