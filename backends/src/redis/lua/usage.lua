-- Writes hits of unlimited tokens: (id, incarnation, hits) from the second argument on.
if not first_run(ARGV[1]) then return 0 end
for n = 2, #ARGV, 3 do
  local token = P .. 't:' .. ARGV[n]
  local f = redis.call('HMGET', token, 'i', 'u')
  if f[1] == ARGV[n + 1] then
    local used = tonumber(f[2] or '0') + tonumber(ARGV[n + 2])
    redis.call('HSET', token, 'u', int(math.max(0, used)))
  end
end
return 1
