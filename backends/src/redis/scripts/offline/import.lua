-- Writes entries of an import. Each may have been written before: keys and values are the same again.
-- For each: kind, number of its words, words …
local put = {}

function put.token(id, expire_at, windows, ...)
  local fields = {...}
  local w = P .. 'w:' .. id
  for n = 1, 2 * tonumber(windows), 2 do redis.call('ZADD', w, fields[n + 1], fields[n]) end
  redis.call('PEXPIREAT', w, dropped_at(expire_at))
  local token, record = P .. 't:' .. id, nil
  for n = 2 * tonumber(windows) + 1, #fields, 2 do
    if fields[n] == 'r' then record = fields[n + 1] end
    redis.call('HSET', token, fields[n], fields[n + 1])
  end
  redis.call('PEXPIREAT', token, dropped_at(expire_at))
  local object, tags = members(id, cjson.decode(record))
  redis.call('ZADD', P .. 'b', 0, object)
  for _, tag in ipairs(tags) do redis.call('ZADD', P .. 'g', 0, tag) end
  redis.call('ZADD', P .. 'a', 0, id)
  redis.call('ZADD', P .. 'x', expire_at, id)
end

-- Its deadline is over: whoever sweeps first settles it.
function put.finalising(id, lease, turn, intent)
  put_lease(id, lease, 0, turn)
  redis.call('HSET', P .. 'l:' .. id, 'i' .. lease, intent)
  local expire_at = redis.call('HGET', P .. 't:' .. id, 'x')
  if expire_at then redis.call('PEXPIREAT', P .. 'l:' .. id, dropped_at(expire_at)) end
end

function put.upload(id, lease, upload)
  redis.call('HSET', P .. 'u', id .. ':' .. lease, upload)
  redis.call('ZADD', P .. 'parts', 0, id .. ':' .. lease)
end

function put.download(owner, event, tail)
  redis.call('SADD', P .. 'owners', owner)
  redis.call('HSET', P .. 'o:' .. owner, event, tail)
end

local function attempted(event, attempts)
  if attempts ~= '' then redis.call('HSET', P .. 'n', event, attempts) end
end

function put.pending(event, value, attempts, due)
  attempted(event, attempts)
  redis.call('HSET', P .. 'e', event, value)
  redis.call('HSET', P .. 'at', event, due)
  redis.call('ZADD', P .. 'due', due, event)
  redis.call('ZADD', P .. 'age', queued_at(value), event)
end

function put.dead(event, value, attempts, given_up_at)
  attempted(event, attempts)
  redis.call('HSET', P .. 'k', event, value)
  redis.call('ZADD', P .. 'dead', queued_at(value), event)
  redis.call('ZADD', P .. 'buried', given_up_at, event)
end

local at = 1
while at <= #ARGV do
  local kind, words = ARGV[at], tonumber(ARGV[at + 1])
  put[kind](unpack(ARGV, at + 2, at + 1 + words))
  at = at + 2 + words
end
return 1
