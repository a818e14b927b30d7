-- Creates tokens of one partition, all or none. Returns the position of the first that exists, or -1. With `check`
-- it writes nothing. Each token: id, number of fields, then field, value …
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
    if field == RECORD then token.record = value end
    if field == INCARNATION then token.incarnation = value end
    if field == EXPIRE_AT then token.expire_at = value end
    at = at + 2
  end
  tokens[#tokens + 1] = token
end
for n, token in ipairs(tokens) do
  local old = call('HMGET', TOKEN .. token.id, RECORD, EXPIRE_AT, INCARNATION)
  if old[1] then
    token.old = old[1]
    -- The same incarnation: this call has run before.
    if now < tonumber(old[2]) and old[3] ~= token.incarnation then return n - 1 end
    token.done = old[3] == token.incarnation
  end
end
if not write then return -1 end
for _, token in ipairs(tokens) do
  if not token.done then
    local id = token.id
    if token.old then delete_token(id, token.old) end
    call('HSET', TOKEN .. id, unpack(token.fields))
    call('PEXPIREAT', TOKEN .. id, dropped_at(token.expire_at))
    add_to_indexes(id, token.record, token.expire_at)
  end
end
return -1
