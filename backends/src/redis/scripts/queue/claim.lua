-- Claims those of the named events that are still due. Returns of each: id, value, attempts.
local claim_ms = tonumber(ARGV[1])
local claimed = {}
for n = 2, #ARGV do
  local event = ARGV[n]
  local due = call('ZSCORE', EVENTS_BY_DUE_TIME, event)
  local value = call('HGET', EVENTS, event)
  if due and value and tonumber(due) <= now_ms then
    call('ZREM', EVENTS_BY_DUE_TIME, event)
    call('ZADD', EVENTS_BY_CLAIM_END, int(now_ms + claim_ms), event)
    claimed[#claimed + 1] = {event, value, call('HGET', EVENT_ATTEMPTS, event) or ''}
  end
end
return claimed
