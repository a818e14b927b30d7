-- Events by their ids, those that are there: id, value, attempts, due time (empty: a dead letter).
local events = {}
for _, event in ipairs(ARGV) do
  local value = redis.call('HGET', P .. 'e', event)
  local due = value and (redis.call('HGET', P .. 'at', event) or '0') or ''
  value = value or redis.call('HGET', P .. 'k', event)
  if value then
    events[#events + 1] = {event, value, redis.call('HGET', P .. 'n', event) or '', due}
  end
end
return events
