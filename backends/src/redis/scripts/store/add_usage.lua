-- Adds a batch of hits of unlimited tokens: (id, incarnation, hits) from the third argument on.
-- A node numbers its batches in order and sends the next one only after this one is acknowledged.
local key, number = USAGE_BATCH_OF .. ARGV[1], tonumber(ARGV[2])
if number <= tonumber(call('GET', key) or '0') then return 0 end
call('SET', key, int(number), 'PX', USAGE_BATCH_TTL_MS)
for n = 3, #ARGV, 3 do
  local token = TOKEN .. ARGV[n]
  local f = call('HMGET', token, INCARNATION, USED_HITS)
  if f[1] == ARGV[n + 1] then
    local used = tonumber(f[2] or '0') + tonumber(ARGV[n + 2])
    call('HSET', token, USED_HITS, int(math.max(0, used)))
  end
end
return 1
