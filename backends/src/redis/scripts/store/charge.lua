-- Charges bytes against the token's budget. They are kept with the lease: what a lapsed one has
-- charged counts no more.
local id, lease, turn, bytes, budget, call = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if not live_lease(id, lease, turn) then return 'lost' end
local token = P .. 't:' .. id
if redis.call('EXISTS', P .. 'q:' .. call) == 1 then return 'done' end
local charged = tonumber(redis.call('HGET', token, 'b') or '0') + tonumber(bytes)
local all, of = redis.call('HGETALL', P .. 'l:' .. id), {}
for n = 1, #all, 2 do of[all[n]] = all[n + 1] end
for other, value in pairs(of) do
  if #other == 16 and tonumber(string.match(value, '^%d+')) > now_ms then
    charged = charged + tonumber(of['c' .. other] or '0')
  end
end
if charged > tonumber(budget) then return 'over' end
redis.call('HSET', P .. 'l:' .. id, 'c' .. lease, int(charged_by(id, lease) + tonumber(bytes)))
first_run(call)
return 'done'
