-- Writes tokens of one partition, all or none; says which of them is taken, or -1.
-- For each: id, number of fields, then field, value …
local write = ARGV[1] == 'write'
local tokens = {}
local at = 2
while at <= #ARGV do
  local token = {id = ARGV[at], fields = {}}
  local count = tonumber(ARGV[at + 1])
  at = at + 2
  for n = 1, count do
    local field, value = ARGV[at], ARGV[at + 1]
    token.fields[2 * n - 1], token.fields[2 * n] = field, value
    if field == 'r' then token.record = value end
    if field == 'i' then token.incarnation = value end
    if field == 'x' then token.expire_at = value end
    at = at + 2
  end
  tokens[#tokens + 1] = token
end
for n, token in ipairs(tokens) do
  local old = redis.call('HMGET', P .. 't:' .. token.id, 'r', 'x', 'i')
  if old[1] then
    token.old = old[1]
    -- Its own incarnation: this very call has run before.
    if now < tonumber(old[2]) and old[3] ~= token.incarnation then return n - 1 end
    token.done = old[3] == token.incarnation
  end
end
if not write then return -1 end
for _, token in ipairs(tokens) do
  if not token.done then
    local id = token.id
    if token.old then forget(id, token.old) end
    redis.call('HSET', P .. 't:' .. id, unpack(token.fields))
    redis.call('PEXPIREAT', P .. 't:' .. id, dropped_at(token.expire_at))
    local object, tags = members(id, cjson.decode(token.record))
    redis.call('ZADD', P .. 'b', 0, object)
    for _, tag in ipairs(tags) do redis.call('ZADD', P .. 'g', 0, tag) end
    redis.call('ZADD', P .. 'a', 0, id)
    redis.call('ZADD', P .. 'x', token.expire_at, id)
  end
end
return -1
