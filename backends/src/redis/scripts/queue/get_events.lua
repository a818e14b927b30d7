-- Returns those of the named events that are there: id, value, attempts, due time (empty: a dead letter).
local events = {}
for _, event in ipairs(ARGV) do
  local value = call('HGET', EVENTS, event)
  local due = value and (call('HGET', EVENT_DUE_AT, event) or '0') or ''
  value = value or call('HGET', DEAD_LETTERS, event)
  if value then
    events[#events + 1] = {event, value, call('HGET', EVENT_ATTEMPTS, event) or '', due}
  end
end
return events
