-- Claims those of the named events that are still due: id, value, attempts.
local lease_ms = tonumber(ARGV[1])
local taken = {}
for n = 2, #ARGV do
  local event = ARGV[n]
  local due = redis.call('ZSCORE', P .. 'due', event)
  local value = redis.call('HGET', P .. 'e', event)
  if due and value and tonumber(due) <= now_ms then
    redis.call('ZREM', P .. 'due', event)
    redis.call('ZADD', P .. 'held', int(now_ms + lease_ms), event)
    taken[#taken + 1] = {event, value, redis.call('HGET', P .. 'n', event) or ''}
  end
end
return taken
