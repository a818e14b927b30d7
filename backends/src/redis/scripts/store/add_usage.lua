-- Writes hits of unlimited tokens: (id, incarnation, hits) from the third argument on. The batches of
-- a node have numbers that grow, and the next one comes when it knows that this one is written.
local key, number = P .. 'f:' .. ARGV[1], tonumber(ARGV[2])
local KNOWN_MS = 86400000
if number <= tonumber(redis.call('GET', key) or '0') then return 0 end
redis.call('SET', key, int(number), 'PX', KNOWN_MS)
for n = 3, #ARGV, 3 do
  local token = P .. 't:' .. ARGV[n]
  local f = redis.call('HMGET', token, 'i', 'u')
  if f[1] == ARGV[n + 1] then
    local used = tonumber(f[2] or '0') + tonumber(ARGV[n + 2])
    redis.call('HSET', token, 'u', int(math.max(0, used)))
  end
end
return 1
