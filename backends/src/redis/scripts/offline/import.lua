-- Writes entries of an import. A repeated import writes the same keys and values again.
-- Each entry: kind, number of its arguments, arguments …
local put = {}

function put.token(id, expire_at, window_count, ...)
  local args = {...}
  local token, windows, record = TOKEN .. id, WINDOWS_OF .. id, nil
  local first_field = 2 * tonumber(window_count) + 1
  for n = 1, first_field - 1, 2 do call('ZADD', windows, args[n + 1], args[n]) end
  call('PEXPIREAT', windows, dropped_at(expire_at))
  for n = first_field, #args, 2 do
    if args[n] == RECORD then record = args[n + 1] end
    call('HSET', token, args[n], args[n + 1])
  end
  call('PEXPIREAT', token, dropped_at(expire_at))
  add_to_indexes(id, record, expire_at)
end

-- The lease is over, so that the first sweep recovers the upload.
function put.finalising(id, lease, fencing_token, intent)
  put_lease(id, lease, 0, fencing_token)
  call('HSET', LEASES_OF .. id, INTENT_OF .. lease, intent)
  local expire_at = call('HGET', TOKEN .. id, EXPIRE_AT)
  if expire_at then call('PEXPIREAT', LEASES_OF .. id, dropped_at(expire_at)) end
end

function put.upload(id, lease, upload)
  call('HSET', UPLOADS, lease_member(id, lease), upload)
  call('ZADD', UPLOADS_BY_LOOK, 0, lease_member(id, lease))
end

function put.download(node, event, tail)
  call('SADD', NODES_WITH_OPEN_EVENTS, node)
  call('HSET', OPEN_EVENTS_OF .. node, event, tail)
end

local function put_attempts(event, attempts)
  if attempts ~= '' then call('HSET', EVENT_ATTEMPTS, event, attempts) end
end

function put.pending(event, value, attempts, due)
  put_attempts(event, attempts)
  call('HSET', EVENTS, event, value)
  call('HSET', EVENT_DUE_AT, event, due)
  call('ZADD', EVENTS_BY_DUE_TIME, due, event)
  call('ZADD', EVENTS_BY_AGE, queued_at(value), event)
end

function put.dead(event, value, attempts, dead_since)
  put_attempts(event, attempts)
  call('HSET', DEAD_LETTERS, event, value)
  call('ZADD', DEAD_LETTERS_BY_AGE, queued_at(value), event)
  call('ZADD', DEAD_LETTERS_BY_DEATH, dead_since, event)
end

local at = 1
while at <= #ARGV do
  local kind, count = ARGV[at], tonumber(ARGV[at + 1])
  put[kind](unpack(ARGV, at + 2, at + 1 + count))
  at = at + 2 + count
end
return 1
