-- Tokens of one index, from `after` (exclusive) or the first that begins with the prefix.
local index, from, to, most = P .. ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local rows = {}
local found = redis.call('ZRANGEBYLEX', index, from, to, 'LIMIT', 0, most)
for _, member in ipairs(found) do
  local id = string.sub(member, -32)
  local f = redis.call('HMGET', P .. 't:' .. id, 'r', 'i', 'u', 'a', 'x')
  if not f[1] then
    -- Redis has dropped the token before anybody swept.
    redis.call('ZREM', index, member)
    rows[#rows + 1] = {member}
  elseif is_gone(f[5]) then
    rows[#rows + 1] = {member}
  else
    rows[#rows + 1] = {member, f[1], f[2], f[3] or '0', f[4] or ''}
  end
end
return {int(now), rows}
