-- Housekeeping of one partition, in bounded steps.
local lease_ms, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local keep_ms, max_dead = tonumber(ARGV[3]), tonumber(ARGV[4])
even_when_full()
local over = redis.call('ZRANGEBYSCORE', P .. 'x', '-inf', int(now - GRACE), 'LIMIT', 0, most)
for _, id in ipairs(over) do
  local record = redis.call('HGET', P .. 't:' .. id, 'r')
  if record then
    forget(id, record)
  else
    redis.call('ZREM', P .. 'x', id)
    redis.call('ZREM', P .. 'a', id)
  end
end
local unsettled = {}
local lapsed = redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', int(now_ms), 'LIMIT', 0, most)
for _, member in ipairs(lapsed) do
  local id, lease = string.sub(member, 1, 32), string.sub(member, 34)
  local f = redis.call('HMGET', P .. 'l:' .. id, lease, 'i' .. lease)
  local token = redis.call('HMGET', P .. 't:' .. id, 'r', 'i')
  if f[1] and f[2] and token[1] then
    -- Its upload may have become visible: somebody has to look.
    local turn = int(tonumber(string.match(f[1], '%d+$')) + 1)
    put_lease(id, lease, now_ms + lease_ms, turn)
    local parts = redis.call('HGET', P .. 'u', member) or ''
    unsettled[#unsettled + 1] = {id, token[1], token[2], lease, turn, f[2], parts}
  else
    drop_lease(id, lease)
  end
end
local function drop_letter(event)
  for _, index in ipairs({'dead', 'buried'}) do redis.call('ZREM', P .. index, event) end
  for _, hash in ipairs({'k', 'n'}) do redis.call('HDEL', P .. hash, event) end
end
if keep_ms > 0 then
  local old = redis.call('ZRANGEBYSCORE', P .. 'buried', '-inf', int(now_ms - keep_ms), 'LIMIT', 0, most)
  for _, event in ipairs(old) do drop_letter(event) end
end
local too_many = math.min(redis.call('ZCARD', P .. 'dead') - max_dead, most)
if too_many > 0 then
  for _, event in ipairs(redis.call('ZRANGE', P .. 'dead', 0, too_many - 1)) do drop_letter(event) end
end
local more = (#over == most or #lapsed == most) and 1 or 0
return {more, unsettled, redis.call('SMEMBERS', P .. 'owners')}
