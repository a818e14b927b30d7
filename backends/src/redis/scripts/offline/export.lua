-- A page of one kind of entries, for an export: nobody writes meanwhile.
-- Answers where the next page begins (empty: that was all), and the rows.
local kind, from, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local rows = {}

if kind == 'token' then
  local ids = redis.call('ZRANGEBYLEX', P .. 'a', from == '' and '-' or '(' .. from, '+', 'LIMIT', 0, most)
  for _, id in ipairs(ids) do
    local f = redis.call('HMGET', P .. 't:' .. id, 'r', 'i', 'u', 'b', 'a', 'w')
    -- Redis may have dropped the token before anybody swept.
    if f[1] then
      local windows = f[6] and redis.call('ZRANGE', P .. 'w:' .. id, 0, -1, 'WITHSCORES') or {}
      rows[#rows + 1] = {id, f[1], f[2], f[3] or '0', f[4] or '0', f[5] or '', windows}
    end
  end
  return {#ids == most and ids[#ids] or '', rows}
end

if kind == 'download' then
  for _, owner in ipairs(redis.call('SMEMBERS', P .. 'owners')) do
    local open = redis.call('HGETALL', P .. 'o:' .. owner)
    for n = 1, #open, 2 do rows[#rows + 1] = {open[n], open[n + 1]} end
  end
  return {'', rows}
end

local index = ({finalising = 'leases', upload = 'parts', pending = 'age', dead = 'dead'})[kind]
local first = tonumber(from) or 0
local members = redis.call('ZRANGE', P .. index, first, first + most - 1)
for _, member in ipairs(members) do
  if kind == 'finalising' then
    local id, lease = string.sub(member, 1, 32), string.sub(member, 34)
    local f = redis.call('HMGET', P .. 'l:' .. id, lease, 'i' .. lease)
    if f[1] and f[2] then
      rows[#rows + 1] = {id, lease, string.match(f[1], '%d+$'), f[2]}
    end
  elseif kind == 'upload' then
    local upload = redis.call('HGET', P .. 'u', member)
    if upload then
      rows[#rows + 1] = {string.sub(member, 1, 32), string.sub(member, 34), upload}
    end
  else
    local value = redis.call('HGET', P .. (kind == 'dead' and 'k' or 'e'), member)
    local attempts = redis.call('HGET', P .. 'n', member) or ''
    local due = redis.call('HGET', P .. 'at', member) or '0'
    if value then rows[#rows + 1] = {member, value, attempts, due} end
  end
end
return {#members == most and int(first + most) or '', rows}
