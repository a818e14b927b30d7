-- Comes before every script: access to Redis, time, and what several scripts do.
-- Names in capitals are constants of `keys.rs`; Rust puts their values into the text.
-- Scripts reach Redis through `call` only. It puts every key into the partition KEYS[1], such as
-- `ag:{3f}:`, and so into the partition's slot.
local PARTITION = KEYS[1]
local function call(command, key, ...)
  return redis.call(command, PARTITION .. key, ...)
end

local time = redis.call('TIME')
local now = tonumber(time[1])
local now_ms = now * 1000 + math.floor(tonumber(time[2]) / 1000)

local function int(number)
  return string.format('%.0f', number)
end

local function is_gone(expire_at)
  return now >= tonumber(expire_at) + EXPIRED_TOKEN_KEPT_SECONDS
end

-- When Redis removes a token's keys by itself (Unix ms): a week after the sweep should have done so, because
-- the sweep needs the record to find the token's index entries.
local function dropped_at(expire_at)
  return int(math.min(tonumber(expire_at) + 8 * EXPIRED_TOKEN_KEPT_SECONDS, 9999999999) * 1000)
end

-- False where a script has run with this call id before.
local function first_run(call_id)
  return call('SET', CALL_ID .. call_id, '1', 'NX', 'PX', CALL_ID_TTL_MS)
end

-- Comes first in scripts that free memory or must not fail. With full memory Redis refuses a script's first
-- write if the command may need memory, and refuses nothing after another first write.
local function even_when_full()
  call('DEL', NO_KEY)
end

-- A token's members in the indexes by object and by tag.
local function index_members(id, record)
  local tags = {}
  for _, tag in ipairs(record.tags or {}) do
    tags[#tags + 1] = tag .. '\0' .. id
  end
  return record.bucket .. '\0' .. record.key .. '\0' .. id, tags
end

local function add_to_indexes(id, record, expire_at)
  local object, tags = index_members(id, cjson.decode(record))
  call('ZADD', TOKENS_BY_OBJECT, 0, object)
  for _, tag in ipairs(tags) do call('ZADD', TOKENS_BY_TAG, 0, tag) end
  call('ZADD', TOKENS, 0, id)
  call('ZADD', TOKENS_BY_EXPIRY, expire_at, id)
end

-- A lease in the indexes by deadline and of multipart uploads.
local function lease_member(id, lease)
  return id .. ':' .. lease
end

local function split_lease_member(member)
  return string.sub(member, 1, TOKEN_ID_LENGTH), string.sub(member, TOKEN_ID_LENGTH + 2)
end

-- A lease is stored as `deadline:fencing_token`.
local function deadline_of(value)
  return tonumber(string.match(value, '^%d+'))
end

local function fencing_token_of(value)
  return string.match(value, '%d+$')
end

local function put_lease(id, lease, deadline, fencing_token)
  call('HSET', LEASES_OF .. id, lease, int(deadline) .. ':' .. fencing_token)
  call('ZADD', LEASES_BY_DEADLINE, int(deadline), lease_member(id, lease))
end

local function delete_lease(id, lease)
  call('HDEL', LEASES_OF .. id, lease, INTENT_OF .. lease, CHARGED_BY .. lease)
  call('ZREM', LEASES_BY_DEADLINE, lease_member(id, lease))
end

-- Deadline of a lease that nobody else has taken over; nil where there is none.
local function own_lease(id, lease, fencing_token)
  local value = call('HGET', LEASES_OF .. id, lease)
  if value and fencing_token_of(value) == fencing_token then return deadline_of(value) end
end

local function is_live(id, lease, fencing_token)
  local deadline = own_lease(id, lease, fencing_token)
  return deadline ~= nil and deadline > now_ms
end

local function charged_by(id, lease)
  return tonumber(call('HGET', LEASES_OF .. id, CHARGED_BY .. lease) or '0')
end

-- Deletes a token and all that belongs to it.
local function delete_token(id, record)
  local object, tags = index_members(id, cjson.decode(record))
  call('ZREM', TOKENS_BY_OBJECT, object)
  for _, tag in ipairs(tags) do call('ZREM', TOKENS_BY_TAG, tag) end
  call('ZREM', TOKENS, id)
  call('ZREM', TOKENS_BY_EXPIRY, id)
  for _, lease in ipairs(call('HKEYS', LEASES_OF .. id)) do
    call('ZREM', LEASES_BY_DEADLINE, lease_member(id, lease))
  end
  for _, key in ipairs({TOKEN, LEASES_OF, WINDOWS_OF}) do call('DEL', key .. id) end
end

-- An event as JSON without its first fields: id and report are not known before the event is queued.
local function event_tail(id, record, caller)
  local template = record.callback_body and ',"template":' .. cjson.encode(record.callback_body) or ''
  return '"token_id":"' .. id .. '","target":' .. cjson.encode(record.callback)
    .. ',"method":' .. cjson.encode(record.method) .. ',"bucket":' .. cjson.encode(record.bucket)
    .. ',"key":' .. cjson.encode(record.key) .. ',"caller":' .. caller
    .. ',"timestamp":' .. int(now) .. ',"metadata":' .. cjson.encode(record.metadata or {})
    .. template .. '}'
end

-- When an event was queued (Unix ms); it is stored as `queued_at_ms:JSON`.
local function queued_at(value)
  return string.match(value, '^%d+')
end

-- Queues an event that is due in `delay_ms`, at once by default. An event is queued once.
local function queue_value(event, value, delay_ms)
  if call('HSETNX', EVENTS, event, int(now_ms) .. ':' .. value) == 1 then
    local due = int(now_ms + (delay_ms or 0))
    call('ZADD', EVENTS_BY_DUE_TIME, due, event)
    call('HSET', EVENT_DUE_AT, event, due)
    call('ZADD', EVENTS_BY_AGE, int(now_ms), event)
  end
end

local function queue_event(event, report, tail, delay_ms)
  queue_value(event, '{"id":"' .. event .. '","report":' .. report .. ',' .. tail, delay_ms)
end

-- Deletes an open event, and queues it as `queued_as` where there is a report. True where it was queued.
local function close_event(node, event, report, queued_as)
  local open = OPEN_EVENTS_OF .. node
  local tail = call('HGET', open, event)
  if not tail then return false end
  call('HDEL', open, event)
  if call('EXISTS', open) == 0 then call('SREM', NODES_WITH_OPEN_EVENTS, node) end
  if report == '' then return false end
  queue_event(queued_as, report, tail)
  return true
end

-- Member that shows that another request rode on the hit of this window.
local function ride_member(client, until_ms)
  return RIDE_OF .. client .. ':' .. int(tonumber(until_ms))
end

-- Releases a counted hit and ends its window, unless another request rode on it.
local function release_hit(id, incarnation, client, until_ms)
  local token, windows = TOKEN .. id, WINDOWS_OF .. id
  if call('HGET', token, INCARNATION) ~= incarnation then return end
  if until_ms ~= '' then
    if call('ZSCORE', windows, ride_member(client, until_ms)) then return end
    if tonumber(call('ZSCORE', windows, client) or '0') == tonumber(until_ms) then
      call('ZREM', windows, client)
    end
  end
  if tonumber(call('HGET', token, USED_HITS) or '0') > 0 then call('HINCRBY', token, USED_HITS, -1) end
end
