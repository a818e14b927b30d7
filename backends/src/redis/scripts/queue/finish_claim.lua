-- Ends a claim: `ack`, `retry` at a time, or `bury` as a dead letter. Returns 1 where the event was there.
local event, outcome, at, attempt, call_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local value = call('HGET', EVENTS, event)
if not value then return 0 end
even_when_full()
if not first_run(call_id) then return 1 end
if outcome == 'ack' then
  call('HDEL', EVENT_ATTEMPTS, event)
elseif attempt ~= '' then
  local before = call('HGET', EVENT_ATTEMPTS, event)
  call('HSET', EVENT_ATTEMPTS, event, before and before .. ',' .. attempt or attempt)
end
call('ZREM', EVENTS_BY_CLAIM_END, event)
if outcome == 'retry' then
  call('HSET', EVENT_DUE_AT, event, at)
  call('ZADD', EVENTS_BY_DUE_TIME, at, event)
  return 1
end
for _, index in ipairs({EVENTS_BY_DUE_TIME, EVENTS_BY_AGE}) do call('ZREM', index, event) end
for _, hash in ipairs({EVENT_DUE_AT, EVENTS}) do call('HDEL', hash, event) end
if outcome == 'bury' then
  call('HSET', DEAD_LETTERS, event, value)
  call('ZADD', DEAD_LETTERS_BY_AGE, queued_at(value), event)
  call('ZADD', DEAD_LETTERS_BY_DEATH, int(now_ms), event)
end
return 1
