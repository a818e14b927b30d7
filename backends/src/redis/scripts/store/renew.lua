-- Renews a lease, and records with it what its upload is about to make visible.
local id, lease, turn, by_ms, intent = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
if not live_lease(id, lease, turn) then return 'lost' end
if intent == '' then even_when_full() end
put_lease(id, lease, now_ms + by_ms, turn)
if intent ~= '' then
  redis.call('HSET', P .. 'l:' .. id, 'i' .. lease, intent)
end
return 'held'
