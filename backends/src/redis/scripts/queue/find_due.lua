-- Returns in how many ms the next event becomes due (empty: none waits), and the due ones: id, due time, …
-- Events whose claim has lapsed are due again.
local max = ARGV[1]
for _, event in ipairs(call('ZRANGEBYSCORE', EVENTS_BY_CLAIM_END, '-inf', int(now_ms), 'LIMIT', 0, max)) do
  call('ZREM', EVENTS_BY_CLAIM_END, event)
  local at = call('HGET', EVENT_DUE_AT, event)
  if at then call('ZADD', EVENTS_BY_DUE_TIME, at, event) end
end
local later = call('ZRANGEBYSCORE', EVENTS_BY_DUE_TIME, '(' .. int(now_ms), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local lapses = call('ZRANGE', EVENTS_BY_CLAIM_END, 0, 0, 'WITHSCORES')
local at = math.min(tonumber(later[2] or '1e300'), tonumber(lapses[2] or '1e300'))
local due = call('ZRANGEBYSCORE', EVENTS_BY_DUE_TIME, '-inf', int(now_ms), 'WITHSCORES', 'LIMIT', 0, max)
return {at < 1e300 and int(math.max(0, at - now_ms)) or '', due}
