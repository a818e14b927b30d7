-- Queues a dead letter again with these `attempts`; makes a pending event due at once.
-- Returns whether the event was there, and whether it was dead.
local event, attempts = ARGV[1], ARGV[2]
local value = call('HGET', DEAD_LETTERS, event)
if value then
  call('HDEL', DEAD_LETTERS, event)
  for _, index in ipairs({DEAD_LETTERS_BY_AGE, DEAD_LETTERS_BY_DEATH}) do call('ZREM', index, event) end
  call('HSET', EVENTS, event, value)
  call('HSET', EVENT_ATTEMPTS, event, attempts)
  call('ZADD', EVENTS_BY_AGE, queued_at(value), event)
elseif call('HEXISTS', EVENTS, event) == 0 then
  return {0, 0}
elseif call('ZSCORE', EVENTS_BY_CLAIM_END, event) then
  return {1, 0}
end
call('HSET', EVENT_DUE_AT, event, int(now_ms))
call('ZADD', EVENTS_BY_DUE_TIME, int(now_ms), event)
return {1, value and 1 or 0}
