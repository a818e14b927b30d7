-- Charges bytes against the token's budget.
local id, lease, turn, bytes, budget, call = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if not live_lease(id, lease, turn) then return 'lost' end
local token = P .. 't:' .. id
if redis.call('EXISTS', P .. 'q:' .. call) == 1 then return 'done' end
local charged = tonumber(redis.call('HGET', token, 'b') or '0') + tonumber(bytes)
if charged > tonumber(budget) then return 'over' end
redis.call('HSET', token, 'b', int(charged))
first_run(call)
return 'done'
