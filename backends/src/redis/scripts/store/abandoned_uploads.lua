-- Takes uploads in parts that nobody will finish; those that somebody holds are looked at later.
local retry_ms, most = tonumber(ARGV[1]), tonumber(ARGV[2])
even_when_full()
local due = redis.call('ZRANGEBYSCORE', P .. 'parts', '-inf', int(now_ms), 'LIMIT', 0, most)
local taken = {}
for _, member in ipairs(due) do
  local id, lease = string.sub(member, 1, 32), string.sub(member, 34)
  local f = redis.call('HMGET', P .. 'l:' .. id, lease, 'i' .. lease)
  local deadline = f[1] and tonumber(string.match(f[1], '^%d+')) or 0
  local later = now_ms + retry_ms
  if deadline > now_ms then
    later = deadline
  elseif not (f[1] and f[2]) then
    taken[#taken + 1] = {id, lease, redis.call('HGET', P .. 'u', member) or ''}
  end
  redis.call('ZADD', P .. 'parts', int(later), member)
end
return {#due == most and 1 or 0, taken}
