-- Before every script: names of keys and the words that several scripts share.
-- KEYS[1] is the partition, such as `ag:{3f}:`; all other keys begin with it and so share its slot.
local P = KEYS[1]
local time = redis.call('TIME')
local now = tonumber(time[1])
local now_ms = now * 1000 + math.floor(tonumber(time[2]) / 1000)
local GRACE = 86400
-- How long a call is remembered that must not count twice.
local REMEMBER_MS = 60000

local function int(number)
  return string.format('%.0f', number)
end

local function is_gone(expire_at)
  return now >= tonumber(expire_at) + GRACE
end

-- When Redis drops a token's keys by itself (Unix ms): a week after they should have been swept,
-- so that whoever sweeps still finds in the record which index entries go with it.
local function dropped_at(expire_at)
  return int(math.min(tonumber(expire_at) + 8 * GRACE, 9999999999) * 1000)
end

-- False where this call, named by its caller, has run before.
local function first_run(call)
  return redis.call('SET', P .. 'q:' .. call, '1', 'NX', 'PX', REMEMBER_MS)
end

-- For what gives memory back, or must not be left undone: where memory is full, Redis refuses the
-- first write of a script if it is one that needs memory, and lets the script go on after any other.
local function even_when_full()
  redis.call('DEL', P .. 'none')
end

local function members(id, record)
  local tags = {}
  for _, tag in ipairs(record.tags or {}) do
    tags[#tags + 1] = tag .. '\0' .. id
  end
  return record.bucket .. '\0' .. record.key .. '\0' .. id, tags
end

local function drop_lease(id, lease)
  redis.call('HDEL', P .. 'l:' .. id, lease, 'i' .. lease, 'c' .. lease)
  redis.call('ZREM', P .. 'leases', id .. ':' .. lease)
end

-- Removes all that is kept of a token.
local function forget(id, record)
  local object, tags = members(id, cjson.decode(record))
  redis.call('ZREM', P .. 'b', object)
  for _, tag in ipairs(tags) do
    redis.call('ZREM', P .. 'g', tag)
  end
  redis.call('ZREM', P .. 'a', id)
  redis.call('ZREM', P .. 'x', id)
  for _, lease in ipairs(redis.call('HKEYS', P .. 'l:' .. id)) do
    redis.call('ZREM', P .. 'leases', id .. ':' .. lease)
  end
  redis.call('DEL', P .. 't:' .. id, P .. 'l:' .. id, P .. 'w:' .. id)
end

-- Deadline of a lease that nobody has taken over since; nil where there is none.
local function own_lease(id, lease, turn)
  local value = redis.call('HGET', P .. 'l:' .. id, lease)
  if not value then return nil end
  local deadline, taken = string.match(value, '^(%d+):(%d+)$')
  if taken ~= turn then return nil end
  return tonumber(deadline)
end

local function live_lease(id, lease, turn)
  local deadline = own_lease(id, lease, turn)
  return deadline ~= nil and deadline > now_ms
end

-- What is told of a lease that was taken over.
local function settled(id, lease)
  return P .. 's:' .. id .. ':' .. lease
end

-- Bytes that a lease has charged.
local function charged_by(id, lease)
  return tonumber(redis.call('HGET', P .. 'l:' .. id, 'c' .. lease) or '0')
end

local function put_lease(id, lease, deadline, turn)
  redis.call('HSET', P .. 'l:' .. id, lease, int(deadline) .. ':' .. turn)
  redis.call('ZADD', P .. 'leases', int(deadline), id .. ':' .. lease)
end

-- An event as JSON, but for its beginning: id and report are not known before it is queued.
local function event_tail(id, record, caller)
  local template = record.callback_body and ',"template":' .. cjson.encode(record.callback_body) or ''
  return '"token_id":"' .. id .. '","target":' .. cjson.encode(record.callback)
    .. ',"method":' .. cjson.encode(record.method) .. ',"bucket":' .. cjson.encode(record.bucket)
    .. ',"key":' .. cjson.encode(record.key) .. ',"caller":' .. caller
    .. ',"timestamp":' .. int(now) .. ',"metadata":' .. cjson.encode(record.metadata or {})
    .. template .. '}'
end

-- When an event was queued (Unix ms), out of its value.
local function queued_at(value)
  return string.match(value, '^%d+')
end

-- `wait_ms`: how long somebody has it before it is due.
local function queue_value(event, value, wait_ms)
  if redis.call('HSETNX', P .. 'e', event, int(now_ms) .. ':' .. value) == 1 then
    local due = int(now_ms + (wait_ms or 0))
    redis.call('ZADD', P .. 'due', due, event)
    redis.call('HSET', P .. 'at', event, due)
    redis.call('ZADD', P .. 'age', int(now_ms), event)
  end
end

local function queue_event(event, report, tail, wait_ms)
  queue_value(event, '{"id":"' .. event .. '","report":' .. report .. ',' .. tail, wait_ms)
end

-- Says that somebody rode on the hit of this window; kept for longer than any access takes to begin.
local RIDDEN_MS = 300000
local function ridden(client, until_ms)
  return 'r' .. client .. ':' .. int(tonumber(until_ms))
end

-- A counted hit did not happen, unless another request has ridden on it; its window ends with it.
local function give_back(id, incarnation, client, until_ms)
  local token, windows = P .. 't:' .. id, P .. 'w:' .. id
  if redis.call('HGET', token, 'i') ~= incarnation then return end
  if until_ms ~= '' then
    if redis.call('ZSCORE', windows, ridden(client, until_ms)) then return end
    if tonumber(redis.call('ZSCORE', windows, client) or '0') == tonumber(until_ms) then
      redis.call('ZREM', windows, client)
    end
  end
  if tonumber(redis.call('HGET', token, 'u') or '0') > 0 then
    redis.call('HINCRBY', token, 'u', -1)
  end
end

-- Ends an open entry: queued where there is a report, else dropped. True where it was queued.
local function close_entry(owner, event, report, queued_as)
  local key = P .. 'o:' .. owner
  local tail = redis.call('HGET', key, event)
  if not tail then return false end
  redis.call('HDEL', key, event)
  if redis.call('EXISTS', key) == 0 then
    redis.call('SREM', P .. 'owners', owner)
  end
  if report == '' then return false end
  queue_event(queued_as, report, tail)
  return true
end
